# Everything a contributor runs. `make test` needs Go, a shell and, for the comparisons with the real thing, redis-server;
# on Debian and its kin it installs the latter itself.

GO            ?= go
GOLANGCI_LINT ?= $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
FUZZTIME      ?= 3s
BENCHFLAGS    ?=
PLATFORMS     := linux/arm64 linux/386 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
NESTED        := $(patsubst %/go.mod,%,$(wildcard */go.mod */*/go.mod))

.PHONY: all build test setup vet fmt lint cross unit race nested fuzz bench cover demo clean
.DEFAULT_GOAL := build

build: ## the server, in bin/larder
	$(GO) build -o bin/larder ./cmd/larder

test: setup ## all of it, as a build machine does
	@.ci/steps fmt vet lint cross unit race nested fuzz

setup: ## redis-server and redis-tools, where apt can install them
	@.ci/setup

fmt: ## fails if gofmt would change something
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "gofmt these:"; echo "$$out"; exit 1; fi

vet:
	$(GO) vet ./...
	for m in $(NESTED); do $(GO) -C $$m vet ./... || exit 1; done

lint: ## golangci-lint, built from the module proxy at first use
	$(GOLANGCI_LINT) run --allow-parallel-runners ./...

cross: ## every platform compiles
	for p in $(PLATFORMS); do echo "$$p"; GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) build ./... || exit 1; done

unit:
	$(GO) test ./...

race: ## the race detector; short: exhaustive tests run without it, in unit
	$(GO) test -race -short ./...

nested: ## the modules in folders of this one: bench, compat, metrics/...
	for m in $(NESTED); do $(GO) -C $$m test ./... || exit 1; done

fuzz: ## every fuzz target for FUZZTIME
	@.ci/fuzz $(FUZZTIME)

bench: ## one table of ratios against redis-server; BENCHFLAGS="-quick -rows 'GET'"
	$(GO) -C bench run . $(BENCHFLAGS)

cover: ## coverage by package, and in cover.html
	$(GO) test -coverprofile=cover.out -coverpkg=./... ./...
	$(GO) tool cover -func=cover.out | tail -1
	$(GO) tool cover -html=cover.out -o cover.html

demo: ## the shop, without and with the layer
	$(GO) run ./cmd/larder demo

clean:
	rm -rf bin cover.out cover.html
