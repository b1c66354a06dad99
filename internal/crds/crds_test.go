package crds

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// answers are those of an API server: of each definition its hash, or an error for all.
type answers struct {
	client.Reader
	hashes map[string]string
	err    error
}

func (a *answers) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	hash, ok := a.hashes[key.Name]
	switch {
	case a.err != nil:
		return a.err
	case !ok:
		return apierrors.NewNotFound(schema.GroupResource{Resource: "customresourcedefinitions"}, key.Name)
	case hash != "":
		into.SetAnnotations(map[string]string{AnnotationHash: hash})
	}
	return nil
}

func TestDefinitionsAreCompared(t *testing.T) {
	const account, marketplace = "marketplaceaccounts.tokenkeeper.dev", "marketplaces.tokenkeeper.dev"
	other := "0123456789abcdef"
	for name, story := range map[string]struct {
		hashes map[string]string
		err    error
		want   []bool // what is reported
		said   string
	}{
		"those of this version": {own, nil, []bool{false}, "are those of this version"},
		"another account":       {map[string]string{account: other, marketplace: own[marketplace]}, nil, []bool{true}, "config/crd: " + account + `"`},
		"both of another":       {map[string]string{account: other, marketplace: other}, nil, []bool{true}, account + ", " + marketplace},
		"without a hash":        {map[string]string{account: own[account], marketplace: ""}, nil, []bool{true}, "config/crd: " + marketplace + `"`},
		"one is missing":        {map[string]string{account: own[account]}, nil, []bool{true}, "config/crd: " + marketplace + `"`},
		"it may not be read":    {nil, errors.New("forbidden"), nil, "cannot be compared"},
	} {
		t.Run(name, func(t *testing.T) {
			var lines []string
			var reported []bool
			watch := &Watch{
				Reader: &answers{hashes: story.hashes, err: story.err}, Log: logTo(&lines), Report: func(outdated bool) { reported = append(reported, outdated) },
			}
			watch.Compare(t.Context())
			if !slices.Equal(reported, story.want) {
				t.Errorf("reported is %v, want %v", reported, story.want)
			}
			if len(lines) != 1 || !strings.Contains(lines[0], story.said) {
				t.Errorf("the log says %q, without %q", lines, story.said)
			}
		})
	}
}

func TestLogSaysOnlyWhatIsNewAboutDefinitions(t *testing.T) {
	var lines []string
	reader := &answers{}
	watch := &Watch{Reader: reader, Log: logTo(&lines), Report: func(bool) {}}
	for _, hashes := range []map[string]string{nil, nil, own, own, nil} {
		reader.hashes = hashes
		watch.Compare(t.Context())
	}
	if len(lines) != 3 {
		t.Errorf("the log says %q", lines)
	}
}

func TestComparingEndsWithTheOperator(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	watch := &Watch{Reader: &answers{err: errors.New("forbidden")}, Log: logr.Discard(), Report: func(bool) {}}
	done := make(chan error)
	go func() { done <- watch.Start(ctx) }()
	end()
	if err := <-done; err != nil {
		t.Errorf("the operator would end with %v", err)
	}
}

func logTo(lines *[]string) logr.Logger {
	return funcr.New(func(_, args string) { *lines = append(*lines, args) }, funcr.Options{})
}
