# demo, test and build need only Go. check installs whatever else it needs.
.POSIX:
.PHONY: demo test build dist packages bench check install lint unit cross e2e soak

BINARY = daypass
STATICCHECK = go run honnef.co/go/tools/cmd/staticcheck@v0.8.2
# The next versions need a module that the module proxy does not serve, or a newer Go.
GORELEASER = go run github.com/goreleaser/goreleaser/v2@v2.15.1

# The whole trip on loopback: it needs no account and leaves nothing behind.
demo:
	go run ./examples/demo

# The quick part.
test:
	go test ./...

# The binary as it is released, into ./daypass or $(BINARY). In a checkout it gets
# its version, commit and date from git; go's own record might be of a repository
# around a source archive.
build:
	built=; if test -e .git; then \
		built="$$(git describe --tags --always --dirty) $$(TZ=UTC git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format='%H %cd')" || built=; \
	fi; \
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags="-s -w -X 'github.com/daypass/daypass/command.built=$$built'" -o $(BINARY) .

# Everything that a release holds, in dist/: of the tag that is checked out, else a
# snapshot. goreleaser wants a remote, and orders manifests as archives get ready.
dist:
	snapshot=--snapshot; ! git describe --tags --exact-match >/dev/null 2>&1 || snapshot=; \
	git remote get-url origin >/dev/null 2>&1 || \
		export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=remote.origin.url GIT_CONFIG_VALUE_0=https://github.com/daypass/daypass; \
	$(GORELEASER) release --config packaging/goreleaser.yaml --clean --skip=publish --parallelism 1 $$snapshot
	date=$$(TZ=UTC git log -1 --date=format-local:%Y-%m-%d --format=%cd); \
	find dist/winget -name '*.yaml' | while read -r manifest; do \
		awk -v date="$$date" -f packaging/winget.awk "$$manifest" > dist/manifest && mv dist/manifest "$$manifest"; \
	done

# What dist builds, twice, installed and used: some minutes.
packages: install
	go test -tags e2e -count=1 -timeout 40m -v ./packaging

# The tables of docs/performance.md; takes some minutes. See bench/main.go.
bench: install
	go run ./bench

# Everything that CI runs.
check: install lint unit cross e2e

# What check, packages, bench and soak need beyond Go.
install:
	sh e2e/install.sh

lint:
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "gofmt -w these:"; echo "$$unformatted"; exit 1; }
	go vet -tags e2e ./...
	$(STATICCHECK) -tags e2e ./...
	set -e; for module in clouds gosdk googlego policyforms zitadel; do (cd e2e/$$module && go vet . && $(STATICCHECK) .); done

# Fuzz tests run over their seeds here; go test -fuzz=NAME ./PACKAGE searches on.
unit:
	go test -race ./...
	cd e2e/clouds && go test -race .

# The systems on which no test runs here.
cross:
	set -e; for os in darwin windows; do for arch in amd64 arm64; do \
		echo "$$os/$$arch"; \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch go build ./...; \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch go vet ./...; \
	done; done

# The whole trip against real parts, under storms and on Windows (with Wine), see
# e2e/doc.go; and what a start may cost. One package at a time, because some tests
# have bounds in seconds.
e2e:
	go test -tags e2e -count=1 -timeout 15m -p 1 -v ./e2e ./cache ./bench

# Processes that are killed at random while provider, STS and keyring fail: SOAK is
# how long, SOAK_SEED repeats the dice of an earlier run. CI runs it weekly; `make
# e2e` has it for seconds.
soak: install
	SOAK=$${SOAK:-3m} go test -tags e2e -count=1 -timeout 2h -parallel 3 -v -run TestSoak ./e2e
