# Build, check, install. `make help` lists the targets; none of them asks anything.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build

PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
TMPFILESDIR ?= $(PREFIX)/lib/tmpfiles.d
DESTDIR ?=

# Swift's standard library goes into the binaries; libssl, libzip, zlib and liblmdb stay the system's, which mends them.
RELEASE := -c release --static-swift-stdlib -Xlinker -z -Xlinker relro -Xlinker -z -Xlinker now
BUILD_PACKAGES := liblmdb-dev libssl-dev libzip-dev zlib1g-dev pkg-config
DEMO_PACKAGES := $(BUILD_PACKAGES) age chromium curl openssl python3 xxd
TEST_PACKAGES := $(DEMO_PACKAGES) binutils busybox chromium-driver fonts-noto-cjk make poppler-utils python3-venv strace systemd zsh
SWIFT_MINIMUM := 6.3
VENV := .venv
REQUIREMENTS := Tests/Integration/requirements.txt
FILL := sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@SYSCONFDIR@|$(SYSCONFDIR)|g'

# install_missing PACKAGES: installs what dpkg does not know as installed.
define install_missing
missing=(); \
for package in $(1); do \
    [[ $$(dpkg-query -W -f '$${Status}' "$$package" 2>/dev/null || true) == 'install ok installed' ]] \
        || missing+=("$$package"); \
done; \
if (($${#missing[@]})); then \
    if ((EUID == 0)); then root=(); \
    elif sudo -n true 2>/dev/null; then root=(sudo -n); \
    else echo "please install as root: apt-get install $${missing[*]}" >&2; exit 1; fi; \
    export DEBIAN_FRONTEND=noninteractive; \
    "$${root[@]}" apt-get update -q; \
    "$${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$${missing[@]}"; \
fi
endef

.PHONY: help deps build-deps demo-deps swift-version build test demo bench bench-count fuzz tsan asan soak mutants lint install uninstall clean

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

swift-version:
	@command -v swift >/dev/null || { echo 'swift is not in PATH; get $(SWIFT_MINIMUM) from https://swift.org/install' >&2; exit 1; }
	@version=$$(swift --version 2>/dev/null | sed -nE 's/.*Swift version ([0-9]+(\.[0-9]+)*).*/\1/p' | head -n 1); \
	if [[ $$(printf '%s\n' '$(SWIFT_MINIMUM)' "$$version" | sort -V | head -n 1) != '$(SWIFT_MINIMUM)' ]]; then \
	    echo "swift in PATH is '$$version'; $(SWIFT_MINIMUM) or later is needed" >&2; exit 1; \
	fi

build-deps: swift-version
	@$(call install_missing,$(BUILD_PACKAGES))

demo-deps: swift-version
	@$(call install_missing,$(DEMO_PACKAGES))

deps: swift-version ## install the Debian packages that building and testing need
	@$(call install_missing,$(TEST_PACKAGES))

build: build-deps ## release binaries
	swift build $(RELEASE)

test: deps $(VENV)/stamp ## unit and integration tests
	swift build
	swift test
	Tests/Fuzz/run.sh $(or $(FUZZ),5)
	Tests/Mutants/run.py $(or $(MUTANTS),$(if $(EVIDENCED_LONG),,--sample 4))
	EVIDENCED_BIN="$$(swift build --show-bin-path)" $(VENV)/bin/python -m pytest -q Tests/Integration

$(VENV)/stamp: $(REQUIREMENTS) | deps
	python3 -m venv --clear $(VENV)
	$(VENV)/bin/python -m pip install -q -r $(REQUIREMENTS)
	touch $@

demo: demo-deps build ## a ledger from its creation to a verified proof
	Tests/Demo/demo.sh "$$(swift build $(RELEASE) --show-bin-path)"

bench: build ## measurements beside raw baselines of the same run (BENCH="--long", "--sizes 10000")
	swift run -c release --package-path Tests/Benchmarks evidenced-bench \
	    --binaries "$$(swift build $(RELEASE) --show-bin-path)" $(BENCH)

bench-count: build ## instructions an event costs the daemon, counted under callgrind
	@$(call install_missing,binutils valgrind)
	python3 Tests/Benchmarks/count.py --binaries "$$(swift build $(RELEASE) --show-bin-path)" $(BENCH)

fuzz: build-deps ## fuzz every parser, FUZZ=SECONDS for each
	Tests/Fuzz/run.sh $(or $(FUZZ),60)

tsan: build-deps ## unit tests under ThreadSanitizer
	Tests/Sanitizers/run.sh thread

asan: build-deps ## unit tests under AddressSanitizer
	Tests/Sanitizers/run.sh address

soak: build $(VENV)/stamp ## mixed load with kills, MINUTES=30
	EVIDENCED_BIN="$$(swift build $(RELEASE) --show-bin-path)" $(VENV)/bin/python Tests/Integration/soak.py \
	    --minutes $(or $(MINUTES),30)

mutants: deps $(VENV)/stamp ## break the sources on purpose; the tests must notice (MUTANTS="--sample 4", NAME...)
	Tests/Mutants/run.py $(MUTANTS)

lint: swift-version ## formatting and the import table
	find Package.swift Sources Tests -name .build -prune -o -name '*.swift' -print0 \
	    | xargs -0 swift format lint --strict --parallel --configuration .swift-format
	Tests/lint/imports.sh
	Tests/lint/bytes.sh
	python3 Tests/Page/update_page.py --check Sources/Bundle/Page/index.html
	Tests/Mutants/run.py --check

install: ## install what `make build` built; DESTDIR, PREFIX, SYSCONFDIR
	@bin=$$(swift build $(RELEASE) --show-bin-path); \
	[[ -x $$bin/evidenced && -x $$bin/evidence ]] || { echo 'run `make build` first' >&2; exit 1; }; \
	install -Dm 0755 -s -t '$(DESTDIR)$(PREFIX)/bin' "$$bin/evidenced" "$$bin/evidence"; \
	install -d '$(DESTDIR)$(UNITDIR)' '$(DESTDIR)$(SYSUSERSDIR)' '$(DESTDIR)$(TMPFILESDIR)'; \
	for unit in evidenced.service evidenced.socket; do \
	    $(FILL) "systemd/$$unit" | install -m 0644 /dev/stdin '$(DESTDIR)$(UNITDIR)'/"$$unit"; \
	done; \
	install -m 0644 systemd/evidenced.sysusers '$(DESTDIR)$(SYSUSERSDIR)/evidenced.conf'; \
	$(FILL) systemd/evidenced.tmpfiles | install -m 0644 /dev/stdin '$(DESTDIR)$(TMPFILESDIR)/evidenced.conf'; \
	if [[ ! -e '$(DESTDIR)$(SYSCONFDIR)/evidenced/evidenced.conf' ]]; then \
	    install -Dm 0644 systemd/evidenced.conf '$(DESTDIR)$(SYSCONFDIR)/evidenced/evidenced.conf'; \
	fi; \
	install -Dm 0644 -t '$(DESTDIR)$(PREFIX)/share/doc/evidenced' ledger-format.md README.md systemd/evidenced.conf; \
	backtrace=$$(dirname "$$(readlink -f "$$(command -v swift)")")/../libexec/swift/linux/swift-backtrace-static; \
	if [[ -x $$backtrace ]]; then \
	    install -D "$$backtrace" '$(DESTDIR)$(PREFIX)/libexec/evidenced/swift-backtrace'; \
	fi; \
	completion() { \
	    "$$bin/evidence" --generate-completion-script "$$1" | install -Dm 0644 /dev/stdin "$(DESTDIR)$(PREFIX)/share/$$2"; \
	}; \
	completion bash bash-completion/completions/evidence; \
	completion zsh zsh/site-functions/_evidence; \
	completion fish fish/vendor_completions.d/evidence.fish

uninstall: ## remove what install put there, but neither configuration nor data
	rm -f '$(DESTDIR)$(PREFIX)/bin/evidenced' '$(DESTDIR)$(PREFIX)/bin/evidence' \
	    '$(DESTDIR)$(UNITDIR)/evidenced.service' '$(DESTDIR)$(UNITDIR)/evidenced.socket' \
	    '$(DESTDIR)$(SYSUSERSDIR)/evidenced.conf' '$(DESTDIR)$(TMPFILESDIR)/evidenced.conf' \
	    '$(DESTDIR)$(PREFIX)/share/bash-completion/completions/evidence' \
	    '$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_evidence' \
	    '$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/evidence.fish'
	rm -rf '$(DESTDIR)$(PREFIX)/share/doc/evidenced' '$(DESTDIR)$(PREFIX)/libexec/evidenced'

clean: ## remove what was built
	rm -rf .build .build-mutants $(VENV) demo-out
	find Tests -name __pycache__ -type d -prune -exec rm -rf {} +
