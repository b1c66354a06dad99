package statusreport

import (
	"context"
	"encoding/json"
	"strconv"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// held is an API server with one account, which is changed before some of the requests to it.
type held struct {
	client.Reader
	client.SubResourceWriter
	account        *v1alpha1.MarketplaceAccount
	before         []func(*v1alpha1.MarketplaceAccount) // a patch
	reads, patches int
}

func (h *held) Status() client.SubResourceWriter { return h }

func (h *held) Get(_ context.Context, _ client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	h.reads++
	h.account.DeepCopyInto(object.(*v1alpha1.MarketplaceAccount))
	return nil
}

func (h *held) Patch(_ context.Context, object client.Object, patch client.Patch, _ ...client.SubResourcePatchOption) error {
	h.patches++
	if len(h.before) > 0 {
		h.before[0](h.account)
		h.before = h.before[1:]
		h.account.ResourceVersion = next(h.account)
	}
	document, err := patch.Data(object)
	if err != nil {
		return err
	}
	var sent v1alpha1.MarketplaceAccount
	if err := json.Unmarshal(document, &sent); err != nil {
		return err
	}
	if sent.ResourceVersion != h.account.ResourceVersion {
		return apierrors.NewConflict(schema.GroupResource{}, h.account.Name, nil)
	}
	h.account.Status, h.account.ResourceVersion = sent.Status, next(h.account)
	object.SetResourceVersion(h.account.ResourceVersion)
	return nil
}

func next(account *v1alpha1.MarketplaceAccount) string {
	version, _ := strconv.Atoi(account.ResourceVersion)
	return strconv.Itoa(version + 1)
}

// TestAStatusIsWrittenOnTopOfTheOneThatWasRead: an edit besides it does not matter, and what another process has written stays.
func TestAStatusIsWrittenOnTopOfTheOneThatWasRead(t *testing.T) {
	edited := func(a *v1alpha1.MarketplaceAccount) { a.Labels = map[string]string{"team": "shop"} }
	reported := func(a *v1alpha1.MarketplaceAccount) { a.Status.TokenSecretName = "theirs" }
	replaced := func(a *v1alpha1.MarketplaceAccount) { a.UID = "another" }
	for name, test := range map[string]struct {
		before         []func(*v1alpha1.MarketplaceAccount)
		written        bool
		reads, patches int
	}{
		"nothing has changed":            {nil, true, 0, 1},
		"a label was edited":             {[]func(*v1alpha1.MarketplaceAccount){edited}, true, 1, 2},
		"labels were edited thrice":      {[]func(*v1alpha1.MarketplaceAccount){edited, edited, edited}, true, 3, 4},
		"labels are edited all the time": {[]func(*v1alpha1.MarketplaceAccount){edited, edited, edited, edited}, false, 3, 4},
		"another process has reported":   {[]func(*v1alpha1.MarketplaceAccount){reported}, false, 1, 1},
		"it reports after an edit":       {[]func(*v1alpha1.MarketplaceAccount){edited, reported}, false, 2, 2},
		"the account is another one now": {[]func(*v1alpha1.MarketplaceAccount){replaced}, false, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			account := &v1alpha1.MarketplaceAccount{}
			account.Name, account.UID, account.ResourceVersion = "main", "one", "7"
			cluster := &held{account: account.DeepCopy(), before: test.before}
			after := account.DeepCopy()
			after.Status.TokenSecretName = "ours"
			err := Patch(t.Context(), cluster, cluster, NewBacklog(1), account, after)
			if test.written != (err == nil) || err != nil && !apierrors.IsConflict(err) {
				t.Errorf("it ends with %v", err)
			}
			if test.written != (cluster.account.Status.TokenSecretName == "ours") || test.written != (after.ResourceVersion == cluster.account.ResourceVersion) {
				t.Errorf("the status says %q in version %s, which is told as %s", cluster.account.Status.TokenSecretName, cluster.account.ResourceVersion, after.ResourceVersion)
			}
			if cluster.reads != test.reads || cluster.patches != test.patches {
				t.Errorf("it took %d reads and %d patches", cluster.reads, cluster.patches)
			}
		})
	}
}
