# Development of tokenkeeper. It needs Go and make, and Chromium and Prometheus for the tests; everything else comes through the Go
# module proxy, pinned in hack/tools, one module for each tool.

GO ?= go

# Runs a pinned tool: $(call tool,module,binary). Go keeps what it builds in its own cache.
tool = $(GO) tool -modfile=hack/tools/$(1)/go.mod $(2)
CONTROLLER_GEN = $(call tool,controller-gen,controller-gen)
GOLANGCI_LINT = $(call tool,golangci-lint,golangci-lint)
KUBE_API_LINTER = $(call tool,kube-api-linter,golangci-lint-kube-api-linter)

# Flags of go test, such as TEST_FLAGS="-run TestAccount -v" or TEST_FLAGS=-race, which needs a C compiler.
TEST_FLAGS ?=
# LONG=1 has make test tell each story in all its forms, as CI does: half an hour in place of minutes.
LONG ?=
# Flags of the quickstart, such as QUICKSTART_ARGS=--once.
QUICKSTART_ARGS ?=
# Flags of the fault suite's long form, such as CHAOS_ARGS="-chaos.apart -chaos.kills 1000 -chaos.for 20m".
CHAOS_ARGS ?=
# Flags of the simulation, such as SIMULATE_ARGS="-seed 1 -seeds 1000".
SIMULATE_ARGS ?=
# Flags of a simulated fleet, such as FLEET_ARGS="-accounts 10000,100000 -for 24h".
FLEET_ARGS ?=
# Flags of the suite on a real node, such as E2E_ARGS=-e2e.keep.
E2E_ARGS ?=
# Flags of the measures of the code, and another checkout to measure, such as MEASURES_ARGS="-under internal ../before".
MEASURES_ARGS ?=
# Flags of the mutation tests, and the packages to test, such as MUTATE_ARGS="-workers 2 internal/custody".
MUTATE_ARGS ?=
# Flags of the benchmarks, such as BENCH_ARGS="-only signin -runs 1 -json bench.json".
BENCH_ARGS ?=

# What is built, and what the programs say about themselves. Time and commit are those of the checkout, so that two builds
# of one commit are the same.
VERSION ?= $(shell sed -n 's/^appVersion: *//p' charts/tokenkeeper/Chart.yaml)
COMMIT ?= $(shell git describe --always --abbrev=40 --exclude='*' --dirty 2>/dev/null)
DATE ?= $(shell TZ=UTC git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd 2>/dev/null)
LDFLAGS = -s -w $(foreach name,version=$(VERSION) commit=$(COMMIT) date=$(DATE),-X $(VERSION_PACKAGE).$(name))
VERSION_PACKAGE = github.com/tokenkeeper/tokenkeeper/internal/version
# Where programs and images are put, where the images belong, and for which platforms they are.
BIN ?= bin
DIST ?= dist
REPOSITORY ?= ghcr.io/tokenkeeper
PLATFORMS ?= linux/amd64,linux/arm64
IMAGES ?= ./cmd/tokenkeeper ./cmd/demo-marketplace
PROGRAMS ?= ./cmd/...

.DEFAULT_GOAL := help

##@ General

.PHONY: help
help: ## Show this help.
	@awk 'BEGIN {FS = ":.*##"; printf "Usage: make <target>\n"} \
		/^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-zA-Z0-9_-]+:.*##/ {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: quickstart
quickstart: ## Try it out, with an API server, a demo marketplace and sample accounts (QUICKSTART_ARGS=--once ends by itself).
	@assets=$$($(GO) run ./hack/assets) && \
	$(GO) build -buildvcs=false -o bin/quickstart ./cmd/quickstart && \
	KUBEBUILDER_ASSETS=$$assets exec bin/quickstart $(QUICKSTART_ARGS) # exec, so that a signal to make reaches it

##@ Development

# Writes everything that is generated under the folder $(1).
define generate
$(CONTROLLER_GEN) object paths=./api/... output:object:dir=$(1)/api/v1alpha1
$(CONTROLLER_GEN) crd paths=./api/... output:crd:dir=$(1)/config/crd/bases
$(CONTROLLER_GEN) rbac:roleName=tokenkeeper paths="./internal/controller/...;./internal/crds/...;./internal/marketplacestatus/...;./internal/portal/..." output:rbac:dir=$(1)/config/rbac
$(GO) run ./hack/crdhash $(1)
$(GO) run ./hack/proofs $(1)
$(GO) run ./hack/marketplaces $(1)
$(GO) run ./hack/alerts $(1)
$(GO) run -C hack/dashboard . $(abspath $(1))
endef

# What the charts take over from config/ as it is: file in the chart, file of config/.
CHART_FILES = $(foreach kind,marketplaceaccounts marketplaces,tokenkeeper/files/crd/$(kind).yaml:crd/bases/tokenkeeper.dev_$(kind).yaml) \
	$(foreach role,role marketplace_viewer_role marketplaceaccount_editor_role marketplaceaccount_operator_role marketplaceaccount_viewer_role metrics_reader_role,tokenkeeper/files/rbac/$(role).yaml:rbac/$(role).yaml) \
	tokenkeeper/files/namespaced/cluster_role.yaml:components/namespaces/cluster_role.yaml \
	tokenkeeper/files/namespaced/role.yaml:namespaced/watched/role.yaml \
	tokenkeeper/files/manager/deployment.yaml:manager/deployment.yaml \
	tokenkeeper/files/portal/role.yaml:components/portal-apart/role.yaml tokenkeeper/files/portal/cluster_role.yaml:components/portal-apart-namespaces/cluster_role.yaml \
	tokenkeeper/files/portal/watched_role.yaml:namespaced/watched-portal/role.yaml \
	tokenkeeper/files/monitoring/rules.yaml:monitoring/rules.yaml tokenkeeper/files/monitoring/tokenkeeper.json:components/dashboard/tokenkeeper.json \
	$(foreach file,$(notdir $(filter-out %/kustomization.yaml,$(wildcard config/marketplaces/*.yaml))),tokenkeeper-marketplaces/files/$(file):marketplaces/$(file))

# Copies these under the folder $(1), where generated ones of config/ are.
define copy
@for pair in $(CHART_FILES); do \
	to="$(1)/charts/$${pair%%:*}" from="config/$${pair#*:}"; \
	if test -e "$(1)/$$from"; then from="$(1)/$$from"; fi; \
	mkdir -p "$${to%/*}" && cp "$$from" "$$to" || exit 1; \
done
endef

.PHONY: generate
generate: ## Write deepcopy functions, custom resource definitions and their hashes, the operator's role, docs/reference/proofs.md, the alert rules, the dashboard, and what the charts take from config/.
	$(call generate,.)
	$(call copy,.)

.PHONY: fmt
fmt: ## Format the code and group its imports.
	$(GOLANGCI_LINT) fmt

.PHONY: lint
lint: ## Look for mistakes in the Go code (.golangci.yml).
	$(GOLANGCI_LINT) run ./...
	cd hack/image && $(GO) tool -modfile=../tools/golangci-lint/go.mod golangci-lint run --config ../../.golangci.yml ./...
	cd hack/dashboard && $(GO) tool -modfile=../tools/golangci-lint/go.mod golangci-lint run --config ../../.golangci.yml ./...

.PHONY: lint-api
lint-api: ## Hold the API types against the Kubernetes API conventions (.golangci-kal.yml).
	$(KUBE_API_LINTER) run --config .golangci-kal.yml ./api/...

.PHONY: measures
measures: ## Show how the code hangs together: for each folder what names what, sizes, and words (MEASURES_ARGS="-under internal").
	@$(GO) run ./hack/measures $(MEASURES_ARGS)

.PHONY: verify
verify: ## Check that generated files, go.mod, format, words and the rows of tests are as they should be, and lint. Nothing is changed.
	@$(MAKE) --no-print-directory --keep-going verify-generate verify-tidy verify-fmt verify-words verify-rows lint lint-api

.PHONY: verify-generate
verify-generate:
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT INT TERM && \
	$(MAKE) --no-print-directory --silent generate-into INTO="$$fresh" && \
	stale=$$(cd "$$fresh" && find . -type f | sort | while read -r file; do \
		cmp -s "$$file" "$(CURDIR)/$$file" || echo "$$file"; done; \
		cd "$(CURDIR)" && for file in config/crd/bases/* $$(find charts/*/files -type f); do test -e "$$fresh/$$file" || echo "./$$file"; done) && \
	if test -n "$$stale"; then \
		echo 'These generated files are not up to date; run "make generate":' >&2; \
		echo "$$stale" | sed 's,^\./,  ,' >&2; exit 1; \
	fi

.PHONY: generate-into
generate-into:
	$(call generate,$(INTO))
	$(call copy,$(INTO))

.PHONY: verify-tidy
verify-tidy:
	@$(GO) mod tidy -diff || { echo 'go.mod or go.sum is not up to date; run "go mod tidy".' >&2; exit 1; }

.PHONY: verify-fmt
verify-fmt:
	@unformatted=$$($$($(GO) env GOROOT)/bin/gofmt -l api cmd hack internal test) && if test -n "$$unformatted"; then \
		echo 'These files are not formatted; run "make fmt":' >&2; \
		echo "$$unformatted" | sed 's,^,  ,' >&2; exit 1; \
	fi

.PHONY: verify-words
verify-words:
	@$(GO) run ./hack/measures -check

# Each block of internal/lifecycle and the packages below it is reached by a row of its tables or by a script, which say what should come of it: the random walk does not.
.PHONY: verify-rows
verify-rows:
	@profile=$$(mktemp) && trap 'rm -f "$$profile"' EXIT INT TERM && \
	said=$$($(GO) test -skip TestARandomWalk -coverprofile="$$profile" ./internal/lifecycle/... 2>&1) || { echo "$$said" >&2; exit 1; }; \
	missed=$$(sed -n 's,^github.com/tokenkeeper/tokenkeeper/\(.*\) [0-9]* 0$$,  \1,p' "$$profile") && \
	if test -n "$$missed"; then \
		echo 'No row of a test reaches these blocks; add one to their package:' >&2; \
		echo "$$missed" >&2; exit 1; \
	fi

##@ Test

# The packages whose tests need an API server, a browser or Prometheus, or build programs. $(call packages) lists them, $(call packages,-v) all others.
SLOW_PACKAGES = cmd/quickstart hack/ internal/controller internal/metrics internal/portal test/
packages = $$($(GO) list ./... | grep $(1) -E '^github.com/tokenkeeper/tokenkeeper/($(subst $(eval) ,|,$(strip $(SLOW_PACKAGES))))')

.PHONY: test
test: test-unit ## Run every test, in minutes (LONG=1 in each of its forms). It needs Chromium and Prometheus, and builds kube-apiserver and more the first time.
	@assets=$$($(GO) run ./hack/assets) && \
	KUBEBUILDER_ASSETS=$$assets $(GO) test -timeout 30m $(if $(LONG),,-short) $(TEST_FLAGS) $(call packages)

.PHONY: test-unit
test-unit: ## Run the tests that need neither an API server nor a browser, in seconds.
	@$(GO) test $(TEST_FLAGS) $(call packages,-v)

.PHONY: mutate
mutate: ## Change the code of the packages that decide, one operator at a time, and want their tests to fail; hours (MUTATE_ARGS=internal/custody).
	@$(GO) run ./hack/mutate $(MUTATE_ARGS)

.PHONY: chaos
chaos: ## Try every fault, and kill the operator many times; up to two hours and a half (CHAOS_ARGS=-chaos.apart with the portal apart).
	@assets=$$($(GO) run ./hack/assets) && \
	KUBEBUILDER_ASSETS=$$assets $(GO) test -timeout 3h -count=1 -v ./test/chaos -chaos.long $(CHAOS_ARGS)

.PHONY: simulate
simulate: ## Play simulated histories of accounts (SIMULATE_ARGS="-seed 1 -seeds 1000"), each with faults, restarts, people and years of virtual time.
	$(GO) test -timeout 0 -count=1 -v ./test/simulation -run 'TestHistories|TestAScript|TestMutants' -args -seeds 1000 $(SIMULATE_ARGS)

.PHONY: fleet
fleet: ## Measure an operator with a simulated fleet (FLEET_ARGS="-accounts 10000,100000 -for 24h"), and compute a million from two sizes.
	$(GO) test -timeout 0 -count=1 ./test/simulation -run '^TestFleet$$' -args -table -accounts 10000 $(FLEET_ARGS)

.PHONY: e2e
e2e: ## Install, upgrade and remove it on a real node, or on the cluster of E2E_CONTEXT (E2E_ARGS=-e2e.keep leaves it). A node takes root, and the first time twenty minutes.
	$(GO) test -timeout 2h -count=1 -v ./test/e2e -e2e $(E2E_ARGS)

.PHONY: bench
bench: ## Measure on this machine: a table, and the figures as JSON (BENCH_ARGS="-only signin -json bench.json").
	@assets=$$($(GO) run ./hack/assets) && KUBEBUILDER_ASSETS=$$assets $(GO) run ./test/bench $(BENCH_ARGS)

##@ Build

.PHONY: build
build: ## Build the programs into bin, as they are in the images.
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o $(BIN)/ $(PROGRAMS)

.PHONY: image
image: ## Make the images of the operator and of the demo marketplace, as archives in dist. It needs neither Docker nor a registry.
	$(GO) run -C hack/image . -root "$(CURDIR)" -out "$(abspath $(DIST))" -repository '$(REPOSITORY)' -tag '$(VERSION)' \
		-date '$(DATE)' -platforms '$(PLATFORMS)' -ldflags '$(LDFLAGS)' $(IMAGES)

.PHONY: run
run: ## Run the operator here, against the cluster of the current kubeconfig context.
	$(GO) run ./cmd/tokenkeeper
