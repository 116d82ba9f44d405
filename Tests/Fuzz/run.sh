#!/bin/bash
# Fuzzes the parsers: run.sh [SECONDS [TARGET...]], SECONDS for each target. What ever made one trap lies in
# FailCases/TARGET and is tried again first; new findings are put there. Prints a line for each target.
set -euo pipefail
cd "$(dirname "$0")"

seconds=${1:-60}
formats=(json encodings names tile proofs entry submission note checkpoint tlog-proof vkey \
    zip manifest consistency opening bundle lock keyring root-key key-node pages guard age)
services=(configuration varlink http)
targets=("${@:2}")
((${#targets[@]})) || targets=("${formats[@]}" "${services[@]}")
work=.build/fuzz
mkdir -p "$work"
# Some targets read files; those are nowhere but in memory, where there is room for that.
scratch=$(mktemp -d /dev/shm/evidenced-fuzz.XXXXXX 2>/dev/null || mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export FUZZ_SCRATCH=$scratch
# The fuzzer prints a trace of its own; Swift's would take longer than the search.
export SWIFT_BACKTRACE=enable=no
# Swift keeps its statics for the life of the process, which is no leak.
export ASAN_OPTIONS=detect_leaks=0

# quietly LOG COMMAND...: shows what the command printed only where it fails.
quietly() {
    local log=$1
    shift
    if ! "$@" >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        return 1
    fi
}

# build PRODUCT LIBRARY...: the static library of the product, linked with the fuzzer's main.
build() {
    local product=$1 options=(-c release -Xswiftc -sanitize=fuzzer,address -Xswiftc -parse-as-library
        -Xswiftc -enable-testing)
    shift
    quietly "$work/$product.log" swift build "${options[@]}" --product "$product"
    # The runtime finds conformances by itself: objects that hold nothing else must be linked, too.
    quietly "$work/$product.log" swiftc -use-ld=lld -sanitize=fuzzer,address -Xlinker '--undefined-glob=$s*Mc' \
        "$(swift build "${options[@]}" --show-bin-path)/lib$product.a" "$@" -o "$work/$product"
}

# is_in WORD LIST...: whether the word is in the list.
is_in() { [[ " ${*:2} " == *" $1 "* ]]; }

# fuzz TARGET: tries what failed before, then searches. Fails on a finding.
fuzz() {
    local target=$1 product=FuzzFormats log=$work/$1.log corpus=$work/corpus/$1 failed=FailCases/$1
    is_in "$target" "${services[@]}" && product=FuzzServices
    mkdir -p "$corpus" "$failed"
    local cases=("$failed"/*) options=(-artifact_prefix="$failed/" -timeout=10 -rss_limit_mb=4096)
    if [[ -e ${cases[0]} ]] && ! FUZZ_TARGET=$target "$work/$product" "${options[@]}" "${cases[@]}" >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        echo "$target: an earlier finding is back, see $PWD/$failed"
        return 1
    fi
    [[ -t 1 ]] && printf '%s: %s s ...\r' "$target" "$seconds"
    if ! FUZZ_TARGET=$target "$work/$product" "${options[@]}" -max_total_time="$seconds" -max_len=4096 \
        -print_final_stats=1 "$corpus" "Seeds/$target" >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        echo "$target: a finding, see $PWD/$failed"
        return 1
    fi
    rmdir -p --ignore-fail-on-non-empty "$failed"
    echo "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs, no finding"
}

needed=()
for target in "${targets[@]}"; do
    if is_in "$target" "${formats[@]}"; then
        needed+=(FuzzFormats)
    elif is_in "$target" "${services[@]}"; then
        needed+=(FuzzServices)
    else
        echo "no target $target; there are ${formats[*]} ${services[*]}" >&2
        exit 64
    fi
done
if is_in FuzzFormats "${needed[@]}"; then build FuzzFormats -lcrypto -llmdb -lzip; fi
if is_in FuzzServices "${needed[@]}"; then build FuzzServices -lcrypto -llmdb; fi

findings=0
for target in "${targets[@]}"; do fuzz "$target" || findings=$((findings + 1)); done
((findings == 0))
