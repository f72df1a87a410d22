# Countersign. `make help` lists the targets. Only Go, make and git are needed.
.DEFAULT_GOAL := help
SHELL := /bin/sh

BIN      := $(CURDIR)/bin
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  := -s -w -X main.version=$(VERSION)
# One set of flags for everything that is run, so that each package is compiled once.
GO_RUN   := CGO_ENABLED=0 go run -trimpath
GO_BUILD := CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)'
# With a C compiler the tests run under the race detector; tests that run many rounds of a protocol are left out of that run
# (build tag !race) and run in the same target without it.
RACE     := $(shell if command -v cc >/dev/null 2>&1 || command -v gcc >/dev/null 2>&1; then echo -race; fi)
# Packages with tests that run many rounds, many evaluations, or real processes.
PLAIN    := ./signing/cmp ./signing/eddsa ./signing/frost/... ./policy/prop ./e2e/...
FUZZTIME ?= 20s

.PHONY: help build build-pkcs11 test test-postgres test-pkcs11 test-sgx lint demo demo-stop bench fuzz proto clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/coordinator, bin/mpc-node and bin/callback
	@mkdir -p $(BIN)
	$(GO_BUILD) -o $(BIN)/coordinator ./cmd/coordinator
	$(GO_BUILD) -o $(BIN)/mpc-node ./cmd/node
	$(GO_BUILD) -o $(BIN)/callback ./cmd/callback

build-pkcs11: ## build bin/mpc-node with auto-unseal by a PKCS #11 token (needs a C compiler)
	@mkdir -p $(BIN)
	CGO_ENABLED=1 go build -trimpath -tags pkcs11 -ldflags '$(LDFLAGS)' -o $(BIN)/mpc-node ./cmd/node

test: ## all tests that need no outside service, with -race where there is a C compiler
ifeq ($(RACE),)
	@echo "no C compiler found: the tests run without the race detector"
	go test -timeout 30m ./...
else
	go test -race -timeout 30m $$(go list ./... | grep -v /e2e)
	go test -timeout 30m $(PLAIN)
endif
	@go test -count=1 -v -run '^TestShippedPolicyCoverage$$' ./policy | grep '^rego/:' # go test hides what a package that passes prints

test-postgres: ## the tests that need PostgreSQL, with COUNTERSIGN_TEST_POSTGRES=postgres://user@host/database
	@test -n "$$COUNTERSIGN_TEST_POSTGRES" || { echo "COUNTERSIGN_TEST_POSTGRES names no database: postgres://user@host/database, in which schemas may be made"; exit 1; }
	go test $(RACE) -count=1 ./postgres/...
	go test -count=1 -run 'TestScripts/postgres|TestReplicas|TestLockTimeout' ./cmd/callback

test-pkcs11: ## the tests that need a C compiler and SoftHSM2 (apt-get install softhsm2)
	COUNTERSIGN_TEST_SOFTHSM=1 CGO_ENABLED=1 go test -count=1 -tags pkcs11 ./keystore/token
	COUNTERSIGN_TEST_SOFTHSM=1 CGO_ENABLED=1 go test -count=1 -tags pkcs11 -run TestAutoUnseal ./cmd/node
	CGO_ENABLED=1 go vet -tags pkcs11 ./keystore/token ./cmd/node
	CGO_ENABLED=1 go tool staticcheck -tags pkcs11 ./keystore/token ./cmd/node

test-sgx: ## the tests of storage engine sgx, with a stand-in for the sealing device
	go test -count=1 -tags sgxstandin -run TestSGXStandIn ./cmd/node
	go vet -tags sgxstandin ./keystore/sgx ./cmd/node

lint: ## gofmt, go vet, staticcheck, and govulncheck where its data can be had
	@files=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$files" ]; then echo "gofmt would change:"; echo "$$files"; exit 1; fi
	go vet ./...
	go tool staticcheck ./...
	@sh deploy/vulncheck.sh

demo: build ## set everything up in ./.demo, sign every kind of request, print what happened (KEEP=1 leaves it running)
	@$(GO_RUN) ./e2e/demo -dir .demo -bin bin $(if $(KEEP),-keep)

demo-stop: ## end what make demo KEEP=1 left running
	@$(GO_RUN) ./e2e/demo -dir .demo -bin bin -stop

bench: ## measure the callback server under load (BENCH="-log 1000000" and the like change it: docs/BENCHMARKS.md)
	@mkdir -p $(BIN)
	$(GO_BUILD) -o $(BIN)/bench ./bench
	@$(BIN)/bench $(BENCH)

fuzz: ## fuzz every parser for FUZZTIME (20s) each
	@sh deploy/fuzz.sh $(FUZZTIME)

proto: ## generate the Go code of api/ again (needs protoc)
	go build -o $(BIN)/protoc-gen-go google.golang.org/protobuf/cmd/protoc-gen-go
	protoc --plugin=protoc-gen-go=$(BIN)/protoc-gen-go --go_out=. --go_opt=paths=source_relative api/link/v1/link.proto

clean: ## remove what was built and the demo's folder
	-@$(GO_RUN) ./e2e/demo -dir .demo -bin bin -stop
	rm -rf $(BIN) .demo
