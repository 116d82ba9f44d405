#!/bin/bash
# Runs the unit tests under a sanitizer: run.sh thread|address [TEST OPTIONS...]. A finding fails a test run.
set -euo pipefail
cd "$(dirname "$0")/../.."

sanitizer=${1:-}
case $sanitizer in
thread)
    scratch=.build/tsan
    export TSAN_OPTIONS="halt_on_error=0 ${TSAN_OPTIONS:-}"
    mkdir -p "$scratch"
    clang -O1 -Wall -Wextra -Werror -fPIC -shared Tests/Sanitizers/mutex.c -o "$scratch/mutex.so" -ldl
    preload=$PWD/$scratch/mutex.so
    ;;
address)
    scratch=.build/asan
    # Swift keeps its statics and metadata for the life of the process, and what the test runner keeps is none of ours.
    export ASAN_OPTIONS="detect_leaks=0 ${ASAN_OPTIONS:-}"
    preload=
    ;;
*)
    echo 'a sanitizer is thread or address' >&2
    exit 64
    ;;
esac

build=(--sanitize="$sanitizer" --scratch-path "$scratch")
swift build --build-tests "${build[@]}"
LD_PRELOAD=$preload swift test --skip-build "${build[@]}" "${@:2}"
