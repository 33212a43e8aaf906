# `make` alone says what there is.

GOLANGCI = go tool -modfile=tools/go.mod golangci-lint
# What `make race` runs: where goroutines, Redis and other processes meet. Benchmarks measure other processes.
RACE = ./api/... ./directory/store $$(go list ./internal/... | grep -v /internal/bench$$) ./jobs/... ./ledger \
	./provider/... ./reconcile ./simulator/graph ./status
TESTFLAGS =
# What has to pass before a commit is shared. .ci/run runs these one by one.
CHECKS = lint test race deploy npm samba ds389 once
FUZZTIME = 30s
VERSION = $(shell git describe --tags --always --dirty)
PLATFORMS = linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64

.DEFAULT_GOAL = help

.PHONY: help
help: ## say what there is
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# only selects the tests in files with a build tag, and their packages.
tagged = $$(grep -rl --include='*_test.go' '^//go:build $(1)$$' .)
only = -tags $(1) -run "^($$(sed -n 's/^func \(Test[A-Za-z0-9_]*\).*/\1/p' $(tagged) | paste -sd '|' -))$$" $$(dirname $(tagged) | sort -u)

.PHONY: demo
demo: ## sync a company that does not exist to a simulated tenant, and serve the API
	go run ./cmd/rollcall demo

.PHONY: build
build: ## build the programs to bin/
	go build -trimpath -o bin/ ./cmd/...

.PHONY: once
once: ## run the demo through, and end
	go run ./cmd/rollcall demo --once

.PHONY: test
test: ## run all tests (programs that they need are installed with apt)
	@tools/setup test
	go test $(TESTFLAGS) ./...

.PHONY: race
race: ## run the concurrent packages' tests under the race detector
	@tools/setup test race
	go test -race $(TESTFLAGS) $(RACE)

.PHONY: deploy
deploy: ## test the image's build, docker-compose.yml and the Kubernetes manifests
	@tools/setup deploy
	cd deploy/test && go vet ./... && go test $(TESTFLAGS) ./...

.PHONY: samba
samba: ## test against a real domain controller, whose port needs root
	@tools/setup samba
	go test $(if $(filter 0,$(shell id -u)),,-exec sudo) $(TESTFLAGS) $(call only,samba)

.PHONY: ds389
ds389: ## test against a real 389 Directory Server
	@tools/setup ds389
	go test $(TESTFLAGS) $(call only,ds389)

.PHONY: npm
npm: ## test the simulated tenants with their vendors' JavaScript clients, the dashboard with Grafana's types
	@tools/setup npm
	go test $(TESTFLAGS) $(call only,npm)

.PHONY: lint
lint: ## gofmt, go vet, staticcheck and the other linters of .golangci.yml
	$(GOLANGCI) run --allow-parallel-runners --timeout 15m ./...

PEOPLE = 100000
.PHONY: bench
bench: ## measure whole syncs of PEOPLE=100000, and write the table of docs/performance.md
	@tools/setup test
	go test ./internal/bench -run '^TestTable$$' -count=1 -timeout 0 -v -args -bench.people=$(PEOPLE) \
		-bench.out=$(CURDIR)/docs/performance.md

SEEDS = 5000
.PHONY: simulate
simulate: ## carry out SEEDS=5000 random histories of a simulated company, or the one of SEED again
	go test ./internal/simulate -run TestSimulation -count=1 -timeout 0 \
		-rapid.checks=$(if $(SEED),1,$(SEEDS)) -rapid.seed=$(or $(SEED),0)

.PHONY: leases
leases: ## check 1000 histories of the lease and the entry lock under faults
	go test ./internal/simulate -run TestLeaseIsLinearizable -count=1 -timeout 0 -rapid.checks=1000

.PHONY: ordinary
ordinary: ## let 200 random days of a company of 1,000 pass through both hops, and a start of term
	go test ./internal/boot -run '^TestLaw12(OrdinaryDays|StartOfTerm)' -count=1 -timeout 0 -ordinary.days=200 -ordinary.people=1000

.PHONY: domain
domain: ## let a week pass in a real domain of PEOPLE=820 odd people, with both tenants behind it (needs root)
	@tools/setup samba
	go test $(if $(filter 0,$(shell id -u)),,-exec sudo) -tags samba ./cmd/rollcall -run '^TestAStrangersDomain$$' \
		-count=1 -timeout 0 -v -domain.people=$(if $(filter file,$(origin PEOPLE)),820,$(PEOPLE))

.PHONY: refusals
refusals: ## sync 100 directories to tenants that refuse random objects for good, and 2,000 people without 5 % of them
	go test ./internal/boot -run '^TestLaw10' -count=1 -timeout 0 -refusals.seeds=100 -refusals.people=2000

ROUNDS = 200
.PHONY: chaos
chaos: ## make trouble for processes, Redis and networks ROUNDS=200 times at random, under load; SEED=n repeats
	@tools/setup test
	go test ./internal/e2e -run '^Test(Chaos|RedisRefusesWrites|SentinelFailover)$$' -count=1 -timeout 0 -v -chaos.rounds=$(ROUNDS) -chaos.seed=$(or $(SEED),1)

.PHONY: mutants
mutants: ## plant faults into the engine, each of which a named test must find
	go run ./internal/simulate/mutants

.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME=30s
	@tools/setup test
	@set -e; for dir in $$(git grep -l '^func Fuzz' -- '*_test.go' | xargs -n1 dirname | sort -u); do \
		for target in $$(go test -list '^Fuzz' ./$$dir | grep '^Fuzz'); do \
			go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s ./$$dir; \
		done; \
	done

.PHONY: check
check: $(CHECKS) ## everything that must pass before a commit is shared

.PHONY: checks
checks:
	@echo $(CHECKS)

# The same sources give the same archives, byte by byte: no paths, no build ids, and the time of the commit. GNU tar.
.PHONY: dist
dist: ## build archives for PLATFORMS in dist/, with lists of components and checksums (see docs/releasing.md)
	@rm -rf dist && mkdir dist
	@set -e; time=$$(git log -1 --format=%ct); revision=$$(git rev-parse HEAD); for platform in $(PLATFORMS); do \
		os=$${platform%/*} arch=$${platform#*/}; name=rollcall-$(VERSION)-$$os-$$arch; echo $$name; mkdir dist/$$name; \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch go build -trimpath -buildvcs=false -ldflags "-s -w -buildid= \
			-X rollcall/internal/buildinfo.version=$(VERSION) -X rollcall/internal/buildinfo.revision=$$revision" \
			-o dist/$$name/ ./cmd/...; \
		cp LICENSE NOTICE README.md CHANGELOG.md dist/$$name; \
		go tool -modfile=tools/sbom/go.mod cyclonedx-gomod bin -json -licenses -assert-licenses -noserial -std \
			-version $(VERSION) -output dist/$$name.cdx.json dist/$$name/rollcall$$(test $$os != windows || echo .exe); \
		sed -i "s/\"timestamp\": \".*\"/\"timestamp\": \"$$(date -u -d @$$time +%FT%TZ)\"/" dist/$$name.cdx.json; \
		tar -C dist --sort=name --mtime=@$$time --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
			-I 'gzip -9n' -cf dist/$$name.tar.gz $$name; \
		rm -r dist/$$name; \
	done
	@cd dist && sha256sum *.tar.gz *.cdx.json >SHA256SUMS && cat SHA256SUMS

.PHONY: vulnerabilities
vulnerabilities: ## look for known vulnerabilities in what the programs call (needs vuln.go.dev)
	go tool -modfile=tools/vulnerabilities/go.mod govulncheck ./...

.PHONY: sign
sign: ## sign the checksums in dist/ with the SSH key in the file KEY
	ssh-keygen -Y sign -f $(KEY) -n file dist/SHA256SUMS

.PHONY: generate
generate: ## write the files that are made by programs
	go test ./internal/demo/gen -update
	go generate ./...
	cd deploy/test && go test -run TestThePrometheusRule . -update

.PHONY: hooks
hooks: ## have git run .githooks/pre-commit
	git config core.hooksPath .githooks
