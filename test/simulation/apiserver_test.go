package simulation_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// kind is one of the kinds that the operator works with.
type kind string

const (
	accounts     kind = "marketplaceaccounts"
	marketplaces kind = "marketplaces"
	secrets      kind = "secrets"
	namespaces   kind = "namespaces"
)

// kindOf is the kind of an object, also of its metadata alone.
func kindOf(object client.Object) kind {
	switch o := object.(type) {
	case *v1alpha1.MarketplaceAccount:
		return accounts
	case *v1alpha1.Marketplace:
		return marketplaces
	case *corev1.Secret:
		return secrets
	case *corev1.Namespace:
		return namespaces
	case *metav1.PartialObjectMetadata:
		switch o.Kind {
		case "MarketplaceAccount":
			return accounts
		case "Secret":
			return secrets
		case "Namespace":
			return namespaces
		}
	}
	panic(fmt.Sprintf("the simulated API server has no %T", object))
}

func (k kind) resource() schema.GroupResource {
	if k == accounts || k == marketplaces {
		return v1alpha1.GroupVersion.WithResource(string(k)).GroupResource()
	}
	return schema.GroupResource{Resource: string(k)}
}

// ref names an object.
type ref struct {
	kind kind
	client.ObjectKey
}

// apiServer holds objects as Kubernetes does: each write makes a version, an update names the one that it was made on, and watches tell of
// all in their order. Objects in it are never changed, so that caches share them.
type apiServer struct {
	now func() time.Time
	// observe is told of each write once it is done.
	observe func(change)
	// uid is the form of UIDs.
	uid string

	mu      sync.Mutex // guards the rest
	version int64
	created int
	objects map[ref]client.Object
	watches []*watchCache
	// writes counts writes that made a version.
	writes     int
	unobserved []change
}

func newAPIServer(now func() time.Time) *apiServer {
	return &apiServer{now: now, objects: map[ref]client.Object{}, version: 100, uid: "uid-%d"}
}

// stored returns an object as it is held, which must not be changed; nil where there is none.
func (s *apiServer) stored(at ref) client.Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects[at]
}

// refs are the objects of a kind, in the order of their names.
func (s *apiServer) refs(of kind) []ref {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []ref
	for at := range s.objects {
		if at.kind == of {
			all = append(all, at)
		}
	}
	slices.SortFunc(all, compareRefs)
	return all
}

func compareRefs(a, b ref) int {
	if a.Namespace != b.Namespace {
		return compare(a.Namespace, b.Namespace)
	}
	return compare(a.Name, b.Name)
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func notFound(at ref) error { return apierrors.NewNotFound(at.kind.resource(), at.Name) }

// put stores an object as a new version, and tells the watches. Its caller holds mu.
func (s *apiServer) put(at ref, before, after client.Object) {
	s.version++
	s.writes++
	after.SetResourceVersion(strconv.FormatInt(s.version, 10))
	s.objects[at] = after
	s.tell(change{at, before, after})
}

func (s *apiServer) tell(what change) {
	s.unobserved = append(s.unobserved, what)
	for _, watch := range s.watches {
		watch.pending = append(watch.pending, what)
	}
}

// observed tells of a write.
func (s *apiServer) observed() {
	s.mu.Lock()
	all := s.unobserved
	s.unobserved = nil
	s.mu.Unlock()
	for _, what := range all {
		s.observe(what)
	}
}

// create makes an object, and fills in the fields that the API server does.
func (s *apiServer) create(object client.Object) error {
	defer s.observed()
	s.mu.Lock()
	defer s.mu.Unlock()
	at := ref{kindOf(object), client.ObjectKeyFromObject(object)}
	if s.objects[at] != nil {
		return apierrors.NewAlreadyExists(at.kind.resource(), at.Name)
	}
	s.created++
	object.SetUID(types.UID(fmt.Sprintf(s.uid, s.created)))
	object.SetGeneration(1)
	object.SetCreationTimestamp(metav1.NewTime(s.now().UTC().Truncate(time.Second)))
	made := object.DeepCopyObject().(client.Object)
	s.put(at, nil, made)
	object.SetResourceVersion(made.GetResourceVersion())
	return nil
}

// update replaces an object, where it is still the version that object names; none names any.
func (s *apiServer) update(object client.Object) error {
	defer s.observed()
	s.mu.Lock()
	defer s.mu.Unlock()
	at := ref{kindOf(object), client.ObjectKeyFromObject(object)}
	held := s.objects[at]
	if held == nil {
		return notFound(at)
	}
	if version := object.GetResourceVersion(); version != "" && version != held.GetResourceVersion() || object.GetUID() != "" && object.GetUID() != held.GetUID() {
		return apierrors.NewConflict(at.kind.resource(), at.Name, fmt.Errorf("the object has been modified"))
	}
	next := object.DeepCopyObject().(client.Object)
	next.SetUID(held.GetUID())
	next.SetCreationTimestamp(held.GetCreationTimestamp())
	next.SetDeletionTimestamp(held.GetDeletionTimestamp())
	next.SetResourceVersion(held.GetResourceVersion())
	s.replace(at, held, next)
	object.SetResourceVersion(next.GetResourceVersion())
	object.SetUID(next.GetUID())
	return nil
}

// replace stores an object that differs, with another generation where the spec does, and lets go of an object that only a finalizer held. Its caller holds mu.
func (s *apiServer) replace(at ref, held, next client.Object) {
	generation := held.GetGeneration()
	switch o := next.(type) {
	case *v1alpha1.MarketplaceAccount:
		if !equality.Semantic.DeepEqual(held.(*v1alpha1.MarketplaceAccount).Spec, o.Spec) {
			generation++
		}
	case *v1alpha1.Marketplace:
		if !equality.Semantic.DeepEqual(held.(*v1alpha1.Marketplace).Spec, o.Spec) {
			generation++
		}
	}
	next.SetGeneration(generation)
	if reflect.DeepEqual(held, next) {
		return // the API server drops writes that change nothing
	}
	if next.GetDeletionTimestamp() != nil && len(next.GetFinalizers()) == 0 {
		s.remove(at, held)
		return
	}
	s.put(at, held, next)
}

// remove takes an object away, and the Secrets that it owns. Its caller holds mu.
func (s *apiServer) remove(at ref, held client.Object) {
	s.version++
	s.writes++
	delete(s.objects, at)
	gone := held.DeepCopyObject().(client.Object)
	gone.SetResourceVersion(strconv.FormatInt(s.version, 10))
	s.tell(change{at, gone, nil})
	var owned []ref
	for other, object := range s.objects {
		if slices.ContainsFunc(object.GetOwnerReferences(), func(o metav1.OwnerReference) bool { return o.UID == held.GetUID() }) {
			owned = append(owned, other)
		}
	}
	slices.SortFunc(owned, compareRefs)
	for _, other := range owned {
		s.remove(other, s.objects[other])
	}
}

// delete begins the deletion of an object, which ends when nothing holds it back. An empty uid is any.
func (s *apiServer) delete(at ref, uid types.UID) error {
	defer s.observed()
	s.mu.Lock()
	defer s.mu.Unlock()
	held := s.objects[at]
	switch {
	case held == nil:
		return notFound(at)
	case uid != "" && uid != held.GetUID():
		return apierrors.NewConflict(at.kind.resource(), at.Name, fmt.Errorf("the UID in the precondition does not match"))
	case len(held.GetFinalizers()) == 0:
		s.remove(at, held)
	case held.GetDeletionTimestamp() == nil:
		next := held.DeepCopyObject().(client.Object)
		next.SetDeletionTimestamp(new(metav1.NewTime(s.now().UTC().Truncate(time.Second))))
		s.put(at, held, next)
	}
	return nil
}

// patchStatus merges a status into an account or a Marketplace (RFC 7396).
func (s *apiServer) patchStatus(at ref, document []byte) (client.Object, error) {
	defer s.observed()
	s.mu.Lock()
	defer s.mu.Unlock()
	held := s.objects[at]
	if held == nil {
		return nil, notFound(at)
	}
	next := held.DeepCopyObject().(client.Object)
	var patch struct {
		Metadata struct {
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
		Status json.RawMessage `json:"status"`
	}
	if err := json.Unmarshal(document, &patch); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	if version := patch.Metadata.ResourceVersion; version != "" && version != held.GetResourceVersion() {
		return nil, apierrors.NewConflict(at.kind.resource(), at.Name, fmt.Errorf("the object has been modified"))
	}
	if err := mergeStatus(statusOf(next), patch.Status); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	s.replace(at, held, next)
	return next, nil
}

// statusOf is the status of an account or a Marketplace.
func statusOf(object client.Object) any {
	if marketplace, ok := object.(*v1alpha1.Marketplace); ok {
		return &marketplace.Status
	}
	return &object.(*v1alpha1.MarketplaceAccount).Status
}

// mergeStatus merges a patch into a status.
func mergeStatus(status any, patch []byte) error {
	document, err := json.Marshal(status)
	if err != nil {
		return err
	}
	var held, next map[string]any
	if err := errors.Join(json.Unmarshal(document, &held), json.Unmarshal(patch, &next)); err != nil {
		return err
	}
	merge(held, next)
	if document, err = json.Marshal(held); err != nil {
		return err
	}
	reflect.ValueOf(status).Elem().SetZero()
	return json.Unmarshal(document, status)
}

// merge merges a patch into a document: null takes a member away at any depth, and a list is held whole.
func merge(document, patch map[string]any) {
	for name, value := range patch {
		inner, nested := value.(map[string]any)
		switch held, ok := document[name].(map[string]any); {
		case value == nil:
			delete(document, name)
		case nested && ok:
			merge(held, inner)
		case nested:
			made := map[string]any{}
			merge(made, inner)
			document[name] = made
		default:
			document[name] = value
		}
	}
}

// patchFinalizers writes the finalizers of an account on top of a version.
func (s *apiServer) patchFinalizers(at ref, document []byte) (client.Object, error) {
	defer s.observed()
	s.mu.Lock()
	defer s.mu.Unlock()
	held := s.objects[at]
	if held == nil {
		return nil, notFound(at)
	}
	var patch struct {
		Metadata struct {
			ResourceVersion string   `json:"resourceVersion"`
			Finalizers      []string `json:"finalizers"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(document, &patch); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	if version := patch.Metadata.ResourceVersion; version != "" && version != held.GetResourceVersion() {
		return nil, apierrors.NewConflict(at.kind.resource(), at.Name, fmt.Errorf("the object has been modified"))
	}
	next := held.DeepCopyObject().(client.Object)
	next.SetFinalizers(patch.Metadata.Finalizers)
	s.replace(at, held, next)
	return next, nil
}
