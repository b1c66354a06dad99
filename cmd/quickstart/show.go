package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

// The manifests that are shown.
const (
	crdDirectory         = "config/crd/bases"
	roleFile             = "config/rbac/role.yaml"
	clerkRoleFile        = "config/rbac/marketplaceaccount_operator_role.yaml"
	marketplaceDirectory = "config/marketplaces"
	sampleDirectory      = "config/samples"
)

// show is everything that runs. A field is set by the step that starts its program.
type show struct {
	options
	screen *screen
	hurry  <-chan struct{}
	dir    string // for programs, logs and kubeconfigs; it goes at the end

	cluster  *cluster
	kube     client.Client // as cluster admin
	portal   portal
	market   *market
	operator *operator
	samples  []manifest
}

// begin starts everything, one step after the other.
func (s *show) begin(ctx context.Context) error {
	if err := s.prepare(); err != nil {
		return err
	}
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"Building the operator and the demo marketplace (the first time takes minutes)", s.build},
		{"Starting etcd and kube-apiserver", s.startCluster},
		{"Starting the demo marketplace", s.startMarket},
		{"Applying " + marketplaceDirectory + ", with the demo marketplace instead of the real ones", s.applyMarketplaces},
		{"Starting the operator, with no more rights than " + roleFile + " gives", s.startOperator},
		{"Applying " + sampleDirectory + ", and " + clerkRoleFile + " to which it binds", s.applySamples},
	} {
		if err := s.screen.step(step.what, func() error { return step.do(ctx) }); err != nil {
			return err
		}
	}
	return nil
}

// prepare sends the output of libraries, and the temporary files of tools, to places of ours.
func (s *show) prepare() error {
	if err := os.Setenv("TMPDIR", s.dir); err != nil {
		return fmt.Errorf("setting TMPDIR: %w", err)
	}
	file, err := os.Create(s.path("quickstart.log"))
	if err != nil {
		return fmt.Errorf("making a log: %w", err)
	}
	log := zap.New(zap.WriteTo(file)) // open until the program ends
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	return nil
}

// end stops all programs, the last started first, and removes the files that were written.
func (s *show) end() error {
	s.screen.print("\n")
	return s.screen.step("Stopping everything", func() error {
		return errors.Join(s.operator.stop(s.hurry), s.market.stop(s.hurry), s.cluster.stop(), os.RemoveAll(s.dir))
	})
}

// build makes the two programs.
func (s *show) build(ctx context.Context) error {
	command := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", s.path("bin")+string(filepath.Separator),
		"./cmd/tokenkeeper", "./cmd/demo-marketplace")
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = timeouts.QuickstartStop
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Run(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("running go build: %w\n%s", err, output.String())
	}
	return nil
}

func (s *show) startCluster(ctx context.Context) (err error) {
	if s.cluster, err = startCluster(ctx, s.assets, s.dir); err != nil {
		return err
	}
	if s.kube, err = client.New(s.cluster.config, client.Options{}); err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	return os.WriteFile(s.path("kubeconfig"), s.cluster.kubeconfig, 0o600)
}

// startMarket starts the demo marketplace, which must know where the portal is going to be.
func (s *show) startMarket(ctx context.Context) (err error) {
	if s.portal, err = newPortal(ctx); err != nil {
		return err
	}
	s.market, err = startMarket(ctx, s.path("bin", "demo-marketplace"), s.path("demo-marketplace.log"), s.portal)
	return err
}

func (s *show) applyMarketplaces(ctx context.Context) error {
	marketplaces, err := loadManifests(os.DirFS("."), marketplaceDirectory)
	if err != nil {
		return err
	}
	for i := range marketplaces {
		if err := redirect(marketplaces[i].object, s.market.url); err != nil {
			return fmt.Errorf("redirecting %s: %w", marketplaces[i], err)
		}
	}
	return apply(ctx, s.kube, marketplaces)
}

func (s *show) startOperator(ctx context.Context) error {
	roles, err := loadManifests(os.DirFS("."), roleFile)
	if err != nil {
		return err
	}
	if err := apply(ctx, s.kube, withBindings(roles)); err != nil {
		return err
	}
	kubeconfig, err := s.cluster.user(operatorUser)
	if err != nil {
		return err
	}
	path := s.path("operator.kubeconfig")
	if err := os.WriteFile(path, kubeconfig, 0o600); err != nil {
		return fmt.Errorf("writing the operator's kubeconfig: %w", err)
	}
	s.operator, err = startOperator(ctx, s.path("bin", "tokenkeeper"), path, s.path("operator.log"), s.portal)
	return err
}

func (s *show) applySamples(ctx context.Context) (err error) {
	if s.samples, err = loadManifests(os.DirFS("."), sampleDirectory); err != nil {
		return err
	}
	roles, err := loadManifests(os.DirFS("."), clerkRoleFile)
	if err != nil {
		return err
	}
	return apply(ctx, s.kube, slices.Concat(roles, s.samples))
}

// path is a place in the temporary directory.
func (s *show) path(elements ...string) string {
	return filepath.Join(append([]string{s.dir}, elements...)...)
}

// took is a duration as people read it.
func took(d time.Duration) string { return d.Round(100 * time.Millisecond).String() }
