package statusreport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/kube"
)

// Patch writes the status of an account with one request, or none where it has not changed. It leaves out the parts that the API server
// refuses, so that the conditions are written whatever a platform, or the author of a Secret, made of another field. The new version of the
// account is set in after. An account that is gone is no error; one whose status was written by another process meanwhile is a conflict.
func Patch(ctx context.Context, to client.StatusClient, live client.Reader, backlog *Backlog, before, after *v1alpha1.MarketplaceAccount) error {
	if equality.Semantic.DeepEqual(before.Status, after.Status) {
		return nil
	}
	patch, err := newStatusPatch(&before.Status, &after.Status)
	if err != nil {
		return fmt.Errorf("writing the status: %w", err)
	}
	// The answer is asked for without the account, which is known.
	answer, version := kube.AccountMetadata(), before.ResourceVersion
	answer.Namespace, answer.Name = after.Namespace, after.Name
	write := func() error {
		document, err := json.Marshal(map[string]any{"metadata": map[string]any{"resourceVersion": version}, statusMember: patch})
		if err != nil {
			return err
		}
		return backlog.Write(func() error {
			return to.Status().Patch(ctx, answer, client.RawPatch(types.MergePatchType, document))
		})
	}
	send := func() error {
		err := write()
		for edits := 0; apierrors.IsConflict(err) && edits < mostEdits; edits++ {
			if version, err = versionBesides(ctx, live, before, err); err != nil {
				return err
			}
			err = write()
		}
		return err
	}
	err = send()
	for _, reduce := range []func(statusPatch, error) []string{statusPatch.withoutRefused, statusPatch.conditionsAlone} {
		if !apierrors.IsInvalid(err) {
			break
		}
		if left := reduce(patch, err); len(left) > 0 {
			logf.FromContext(ctx).Error(nil, "The API server refuses a part of the status, which is left out", "fields", left)
			err = send()
		}
	}
	switch {
	case apierrors.IsNotFound(err):
	case err != nil:
		return fmt.Errorf("writing the status: %w", err)
	default:
		after.ResourceVersion = answer.ResourceVersion
	}
	return nil
}

// mostEdits is how often an account may be edited while its status is written.
const mostEdits = 3

// versionBesides is the version that an account has after an edit besides the status, such as of a label: a count of failures must not be lost by
// that. Where the status is another one as well, the conflict stands: another process believes that it leads, and what it has written may be newer.
func versionBesides(ctx context.Context, live client.Reader, before *v1alpha1.MarketplaceAccount, conflict error) (string, error) {
	now := &v1alpha1.MarketplaceAccount{}
	if err := live.Get(ctx, client.ObjectKeyFromObject(before), now); err != nil {
		return "", err
	}
	if now.UID != before.UID || !equality.Semantic.DeepEqual(now.Status, before.Status) {
		return "", conflict
	}
	return now.ResourceVersion, nil
}

// statusPatch is the status member of a merge patch of an account: null takes a member away.
type statusPatch map[string]any

const (
	statusMember     = "status"
	conditionsMember = "conditions"
)

func newStatusPatch(before, after *v1alpha1.MarketplaceAccountStatus) (statusPatch, error) {
	// The rest of the two objects, which is most of them, need not be compared; nor conditions, since a merge patch holds a list whole or
	// not at all; nor members that are equal.
	was, is := *before, *after
	was.Conditions = nil
	if equality.Semantic.DeepEqual(before.Conditions, after.Conditions) {
		is.Conditions = nil
	}
	leaveEqual(&was.Account, &is.Account)
	leaveEqual(&was.AccessToken, &is.AccessToken)
	leaveEqual(&was.Authorization, &is.Authorization)
	leaveEqual(&was.Application, &is.Application)
	leaveEqual(&was.SignIn, &is.SignIn)
	document, err := client.MergeFrom(&v1alpha1.MarketplaceAccount{Status: was}).Data(&v1alpha1.MarketplaceAccount{Status: is})
	if err != nil {
		return nil, err
	}
	var patch struct {
		Status statusPatch `json:"status"`
	}
	return patch.Status, json.Unmarshal(document, &patch)
}

// leaveEqual leaves a member out of both statuses where it is equal in both.
func leaveEqual[T any](was, is **T) {
	if equality.Semantic.DeepEqual(*was, *is) {
		*was, *is = nil, nil
	}
}

// withoutRefused takes out of the patch the fields that the API server's refusal names, and returns the names.
func (p statusPatch) withoutRefused(refusal error) []string {
	var left []string
	for _, field := range refusedFields(refusal) {
		path := strings.Split(field, ".")
		if len(path) < 2 || path[0] != statusMember {
			continue
		}
		if index, ok := conditionIndex(path[1]); ok && p.plainCondition(index) || p.remove(path[1:]) {
			left = append(left, field)
		}
	}
	return left
}

// refusedFields are the fields that the API server did not accept, such as status.account.id.
func refusedFields(refusal error) []string {
	status, ok := errors.AsType[*apierrors.StatusError](refusal)
	if !ok || status.ErrStatus.Details == nil {
		return nil
	}
	var fields []string
	for _, cause := range status.ErrStatus.Details.Causes {
		if !slices.Contains(fields, cause.Field) {
			fields = append(fields, cause.Field)
		}
	}
	return fields
}

// remove takes a field away, also where the API server holds it already; false where the patch does not set it.
func (p statusPatch) remove(path []string) bool {
	members := map[string]any(p)
	for len(path) > 1 {
		inner, ok := members[path[0]].(map[string]any)
		if !ok {
			return false
		}
		members, path = inner, path[1:]
	}
	if members[path[0]] == nil {
		return false
	}
	members[path[0]] = nil
	return true
}

// conditionIndex reads conditions[2].
func conditionIndex(member string) (int, bool) {
	text, ok := strings.CutPrefix(member, conditionsMember+"[")
	index, err := strconv.Atoi(strings.TrimSuffix(text, "]"))
	return index, ok && err == nil
}

// plainCondition keeps no more of a condition than its type and status. The reason of one that the API server refuses can only be
// from a grant Secret that a person has edited.
func (p statusPatch) plainCondition(index int) bool {
	conditions, ok := p[conditionsMember].([]any)
	if !ok || index < 0 || index >= len(conditions) {
		return false
	}
	condition, ok := conditions[index].(map[string]any)
	if !ok {
		return false
	}
	condition["reason"] = v1alpha1.ReasonSecretInvalid
	condition["message"] = "The grant Secret holds a reason that no condition can have; delete it and supply a new grant"
	return true
}

// conditionsAlone leaves all but the conditions as the API server has it, for a refusal that names no field.
func (p statusPatch) conditionsAlone(error) []string {
	var left []string
	for member := range p {
		if member != conditionsMember && member != "observedGeneration" {
			left = append(left, statusMember+"."+member)
			delete(p, member)
		}
	}
	slices.Sort(left)
	return left
}
