# Builds and installs smd: `make` as yourself, then `sudo make install`. For yourself alone, without root:
#
#   make install PREFIX=$HOME/.local userunitdir=$HOME/.local/share/systemd/user
#
# Directories have the names of the GNU standards, DESTDIR too. `make deb` makes a package for Debian and its like.

PREFIX = /usr/local
prefix = $(PREFIX)
exec_prefix = $(prefix)
bindir = $(exec_prefix)/bin
datarootdir = $(prefix)/share
datadir = $(datarootdir)
mandir = $(datarootdir)/man
docdir = $(datarootdir)/doc/smd
bashcompdir = $(datadir)/bash-completion/completions
zshcompdir = $(datadir)/zsh/site-functions
fishcompdir = $(datadir)/fish/vendor_completions.d
userunitdir = $(prefix)/lib/systemd/user

INSTALL = install
INSTALL_PROGRAM = $(INSTALL)
INSTALL_DATA = $(INSTALL) -m 644
CARGO = cargo
CARGO_TARGET_DIR ?= target
built = $(CARGO_TARGET_DIR)/release
tested = $(abspath $(CARGO_TARGET_DIR)/debug)

# A test compares this list with the programs that the crates define, and `make install` with the package.
PROGRAMS = smd-sync smd-pull smd-push smd-loop smd-server smd-restricted-shell smd-check-conf smd-translate smd-undo smd-verify \
	smd-strip-header smd-uniform-names smd-dedup smd-allow mddiff

man1 = $(wildcard docs/man/*.1)
man5 = $(wildcard docs/man/*.5)
bash = $(wildcard docs/completions/*.bash)
zsh = $(wildcard docs/completions/_*)
fish = $(wildcard docs/completions/*.fish)
units = $(wildcard dist/systemd/user/*)
texts = README.md SAFETY.md CHANGELOG.md LICENSE-APACHE LICENSE-MIT
docs = $(wildcard docs/*.md)
hooks = $(wildcard sample/hooks/*)

all:
	$(CARGO) build --release --locked --workspace --exclude smd-tests --exclude smd-models

# Never builds: whoever installs is often root, and what root builds nobody else can build again.
install:
	@for program in $(PROGRAMS); do test -x $(built)/$$program || { \
		echo "$(built)/$$program is missing; build first, as yourself: make" >&2; exit 1; }; done
	$(INSTALL) -d "$(DESTDIR)$(bindir)" "$(DESTDIR)$(mandir)/man1" "$(DESTDIR)$(mandir)/man5" \
		"$(DESTDIR)$(bashcompdir)" "$(DESTDIR)$(zshcompdir)" "$(DESTDIR)$(fishcompdir)" "$(DESTDIR)$(userunitdir)" \
		"$(DESTDIR)$(docdir)/docs" "$(DESTDIR)$(docdir)/examples/hooks"
	$(INSTALL_PROGRAM) $(addprefix $(built)/,$(PROGRAMS)) "$(DESTDIR)$(bindir)"
	$(INSTALL_DATA) $(man1) "$(DESTDIR)$(mandir)/man1"
	$(INSTALL_DATA) $(man5) "$(DESTDIR)$(mandir)/man5"
	$(INSTALL_DATA) $(bash) "$(DESTDIR)$(bashcompdir)"
	$(INSTALL_DATA) $(zsh) "$(DESTDIR)$(zshcompdir)"
	$(INSTALL_DATA) $(fish) "$(DESTDIR)$(fishcompdir)"
	for unit in $(units); do \
		sed 's|/usr/bin/|$(bindir)/|' $$unit >"$(DESTDIR)$(userunitdir)/$${unit##*/}" && \
		chmod 644 "$(DESTDIR)$(userunitdir)/$${unit##*/}" || exit 1; done
	$(INSTALL_DATA) $(texts) "$(DESTDIR)$(docdir)"
	$(INSTALL_DATA) $(docs) "$(DESTDIR)$(docdir)/docs"
	$(INSTALL_DATA) config.default.example "$(DESTDIR)$(docdir)/examples"
	$(INSTALL) $(hooks) "$(DESTDIR)$(docdir)/examples/hooks"

uninstall:
	rm -f $(patsubst %,"$(DESTDIR)$(bindir)/%",$(PROGRAMS))
	rm -f $(patsubst %,"$(DESTDIR)$(mandir)/man1/%",$(notdir $(man1)))
	rm -f $(patsubst %,"$(DESTDIR)$(mandir)/man5/%",$(notdir $(man5)))
	rm -f $(patsubst %,"$(DESTDIR)$(bashcompdir)/%",$(notdir $(bash)))
	rm -f $(patsubst %,"$(DESTDIR)$(zshcompdir)/%",$(notdir $(zsh)))
	rm -f $(patsubst %,"$(DESTDIR)$(fishcompdir)/%",$(notdir $(fish)))
	rm -f $(patsubst %,"$(DESTDIR)$(userunitdir)/%",$(notdir $(units)))
	rm -rf "$(DESTDIR)$(docdir)"

# cargo install --locked cargo-deb
deb: all
	$(CARGO) deb --no-build --locked -p smd-client
	@ls $(CARGO_TARGET_DIR)/debian/*.deb

# The quick tier, before every commit: fmt, clippy, unit tests, kept cases, one whole-program test of each kind (`.config/
# nextest.toml` lists them). `.ci/run` is the full tier. Without cargo-nextest a few modules stand for the list.
check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --all-features --locked -- -D warnings
	$(CARGO) build --workspace --all-targets --locked
	if $(CARGO) nextest --version >/dev/null 2>&1; then \
		SMD_TEST_BIN_DIR=$(tested) $(CARGO) nextest run --workspace --locked --profile quick; \
	else \
		SMD_TEST_BIN_DIR=$(tested) SMD_MODEL_SEQUENCES=500 $(CARGO) test --workspace --locked --lib --bins && \
		SMD_TEST_BIN_DIR=$(tested) $(CARGO) test -p smd-tests --locked --test main -- \
			merge:: sample:: log:: hazards::named; fi

# For hours: random sequences of users, runs and faults, from a seed that was not played before.
SOAK = 1h
soak:
	$(CARGO) run --release --locked -p smd-models --features soak --bin soak -- $(SOAK) $$(date +%s)000

.PHONY: all install uninstall deb check soak
