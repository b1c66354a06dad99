package chaos_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/gomega"
	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/test/leak"
)

// transcript is the log of one process, and how much of it was searched.
type transcript struct {
	w        *world
	path     string
	searched int64
}

func newTranscript(w *world, path string) *transcript { return &transcript{w: w, path: path} }

// search looks for credentials, and for a panic, in all that was written since the last time.
func (s *transcript) search(secrets leak.Search) (string, error) {
	file, err := os.Open(s.path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	if _, err := file.Seek(s.searched, io.SeekStart); err != nil {
		return "", err
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return "", err
	}
	s.searched += int64(len(text))
	if at := bytes.Index(text, []byte("Observed a panic")); at >= 0 {
		return string(text[at:min(len(text), at+3000)]), nil
	}
	return secrets.In(text), nil
}

// expectSilence wants no credential in the logs, nor in any account or event of the story.
func (w *world) expectSilence() {
	w.t.Helper()
	secrets := leak.For(w.market.Secrets()...)
	for _, log := range w.logs {
		found, err := log.search(secrets)
		w.Expect(err).NotTo(HaveOccurred())
		if found != "" {
			w.t.Errorf("what must not be said is in the log %s: %s", log.path, found)
		}
		if *keepLogs != "" {
			w.keep(log.path)
		}
	}
	for _, list := range []client.ObjectList{&v1alpha1.MarketplaceAccountList{}, &eventsv1.EventList{}} {
		if w.cluster.kube.List(context.Background(), list, client.InNamespace(w.ns)) != nil {
			continue // the story's own cluster is gone
		}
		text, err := yaml.Marshal(list)
		w.Expect(err).NotTo(HaveOccurred())
		if found := secrets.In(text); found != "" {
			w.t.Errorf("a credential is in accounts or events: %s", found)
		}
	}
}

// keep leaves a log where the person who started the suite wants it.
func (w *world) keep(path string) {
	text, err := os.ReadFile(path)
	if err != nil {
		return
	}
	name := strings.NewReplacer("/", "_", " ", "_").Replace(w.t.Name()) + "-" + filepath.Base(filepath.Dir(path)) + ".log"
	if err := os.WriteFile(filepath.Join(*keepLogs, name), text, 0o600); err != nil {
		w.t.Errorf("keeping a log: %v", err)
	}
}
