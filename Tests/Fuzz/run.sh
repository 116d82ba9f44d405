#!/bin/bash
# Fuzzes the parsers: run.sh [SECONDS [TARGET...]], SECONDS for each target. What ever made one trap lies in
# FailCases/TARGET and is tried again first; new findings are put there. Prints a line for each target.
set -euo pipefail
cd "$(dirname "$0")"

seconds=${1:-60}
formats=(json encodings names tile proofs entry submission note checkpoint tlog-proof vkey)
targets=("${@:2}")
((${#targets[@]})) || targets=("${formats[@]}" configuration)
work=.build/fuzz
mkdir -p "$work"
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
    local product=$1 options=(-c release -Xswiftc -sanitize=fuzzer,address -Xswiftc -parse-as-library)
    shift
    quietly "$work/$product.log" swift build "${options[@]}" --product "$product"
    quietly "$work/$product.log" swiftc -use-ld=lld -sanitize=fuzzer,address \
        "$(swift build "${options[@]}" --show-bin-path)/lib$product.a" "$@" -o "$work/$product"
}

# fuzz TARGET: tries what failed before, then searches. Fails on a finding.
fuzz() {
    local target=$1 product=FuzzFormats log=$work/$1.log corpus=$work/corpus/$1 failed=FailCases/$1
    [[ $target == configuration ]] && product=FuzzConfiguration
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

for target in "${targets[@]}"; do
    if [[ $target != configuration && " ${formats[*]} " != *" $target "* ]]; then
        echo "no target $target; there are ${formats[*]} configuration" >&2
        exit 64
    fi
done
if [[ " ${targets[*]} " =~ \ (configuration)\  ]]; then build FuzzConfiguration -lcrypto -llmdb; fi
if [[ "${targets[*]}" != configuration ]]; then build FuzzFormats -lcrypto; fi

findings=0
for target in "${targets[@]}"; do fuzz "$target" || findings=$((findings + 1)); done
((findings == 0))
