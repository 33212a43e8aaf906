# `make` alone says what there is.

STATICCHECK = go tool -modfile=tools/go.mod staticcheck
# What `make race` runs: where goroutines, Redis and other processes meet.
RACE = ./api/... ./directory/store ./internal/... ./jobs/... ./ledger ./provider/... ./reconcile ./simulator/graph ./status
TESTFLAGS =
FUZZTIME = 30s

.DEFAULT_GOAL = help

.PHONY: help
help: ## say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## sync a company that does not exist to a simulated tenant, and serve the API
	go run ./cmd/rollcall demo

.PHONY: build
build: ## build the programs to bin/
	go build -trimpath -o bin/ ./cmd/...

.PHONY: test
test: ## run all tests (they need redis-server, slapd and chromium; see CONTRIBUTING.md)
	go test $(TESTFLAGS) ./...

.PHONY: race
race: ## run the concurrent packages' tests under the race detector
	go test -race $(TESTFLAGS) $(RACE)

.PHONY: deploy
deploy: ## test the image's build, docker-compose.yml and the Kubernetes manifests (needs promtool and amtool)
	cd deploy/test && go vet ./... && go test $(TESTFLAGS) ./...

.PHONY: samba
samba: ## test against a real domain controller (needs root and Samba; see internal/sambatest)
	go test -tags samba $(TESTFLAGS) ./source/ldap

.PHONY: npm
npm: ## test the simulated tenants with their vendors' JavaScript clients, the dashboard with Grafana's types (needs node and npm)
	go test -tags npm -run JavaScript $(TESTFLAGS) ./simulator/... ./deploy

.PHONY: lint
lint: ## gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "run gofmt -w on:"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	$(STATICCHECK) ./...

.PHONY: bench
bench: ## run the benchmarks
	go test -run '^$$' -bench . -benchmem ./...

.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME=30s
	@set -e; for dir in $$(git grep -l '^func Fuzz' -- '*_test.go' | xargs -n1 dirname | sort -u); do \
		for target in $$(go test -list '^Fuzz' ./$$dir | grep '^Fuzz'); do \
			go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) ./$$dir; \
		done; \
	done

.PHONY: check
check: lint test race deploy ## everything that must pass before a commit is shared

.PHONY: generate
generate: ## write the files that are made by programs
	go run ./internal/demo/gen
	go generate ./...
	cd deploy/test && go test -run TestThePrometheusRule . -update

.PHONY: hooks
hooks: ## have git run .githooks/pre-commit
	git config core.hooksPath .githooks
