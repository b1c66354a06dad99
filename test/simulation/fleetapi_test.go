package simulation_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/runtime/serializer/streaming"
	"k8s.io/apimachinery/pkg/watch"
	restwatch "k8s.io/client-go/rest/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// piece is about how much of a first list is told at once, in bytes.
const piece = 256 << 10

// kubeAPI speaks Kubernetes' API for a simulated API server, so that the operator's own clients, caches and decoders are measured as well.
// It knows the requests of the operator alone.
type kubeAPI struct {
	store   *apiServer
	codecs  serializer.CodecFactory
	watches map[int]*apiWatch
	begun   int
	// undelivered are the events of watches that go with the next answer.
	undelivered []watchAnswer
	// asked counts requests by verb and resource.
	asked map[string]int
}

func newKubeAPI(store *apiServer) *kubeAPI {
	metav1.AddToGroupVersion(scheme, corev1.SchemeGroupVersion)
	if err := metav1.AddMetaToScheme(scheme); err != nil {
		panic(err)
	}
	return &kubeAPI{store: store, codecs: serializer.NewCodecFactory(scheme), watches: map[int]*apiWatch{}, asked: map[string]int{}}
}

// target is the object or list that a path names.
type target struct {
	ref
	events, status bool
}

func targetOf(path string) (target, error) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if len(parts) < 3 {
		return target{}, errors.New("no such path")
	}
	parts = parts[2:]                               // api/v1 or apis/group
	if parts[0] == "v1" || parts[0] == "v1alpha1" { // apis/group/version
		parts = parts[1:]
	}
	var at target
	if len(parts) >= 3 && parts[0] == string(namespaces) {
		at.Namespace, parts = parts[1], parts[2:]
	}
	at.kind = kind(parts[0])
	if len(parts) > 1 {
		at.Name = parts[1]
	}
	at.status = len(parts) > 2 && parts[2] == "status"
	switch at.kind {
	case accounts, marketplaces, secrets, namespaces:
	case "events":
		at.events = true
	default:
		return at, errors.New("no such resource")
	}
	return at, nil
}

// answer answers a request.
func (k *kubeAPI) answer(c call) answer {
	address, err := url.Parse(c.URL)
	if err != nil {
		return k.fail(apierrors.NewBadRequest(err.Error()))
	}
	at, err := targetOf(address.Path)
	if err != nil {
		return k.fail(apierrors.NewNotFound(schema.GroupResource{}, address.Path))
	}
	verb := c.Method
	if at.status {
		verb += " status"
	}
	query := address.Query()
	if query.Get("watch") != "" {
		verb = "WATCH"
	} else if c.Method == http.MethodGet && at.Name == "" {
		verb = "LIST"
	}
	k.asked[verb+" "+string(at.kind)]++
	if at.events {
		return answer{Status: http.StatusCreated, Header: map[string]string{"Content-Type": c.ContentType}, Body: c.Body}
	}
	if verb == "WATCH" {
		return k.watch(at, c.Accept, query)
	}
	object, err := k.do(at, c)
	if err != nil {
		return k.fail(err)
	}
	form := k.form(c.Accept, at.kind)
	document, err := form.encode(object)
	if err != nil {
		return k.fail(err)
	}
	return answer{Status: http.StatusOK, Header: map[string]string{"Content-Type": form.mediaType}, Body: document}
}

// do carries out a request, and returns the object as it is then.
func (k *kubeAPI) do(at target, c call) (client.Object, error) {
	switch c.Method {
	case http.MethodGet:
		if held := k.store.stored(at.ref); held != nil {
			return held, nil
		}
		return nil, notFound(at.ref)
	case http.MethodPost, http.MethodPut:
		decoded, _, err := k.codecs.UniversalDeserializer().Decode(c.Body, nil, nil)
		if err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
		object := decoded.(client.Object)
		object.SetNamespace(at.Namespace)
		if c.Method == http.MethodPost {
			return object, k.store.create(object)
		}
		return object, k.store.update(object)
	case http.MethodPatch:
		if at.status {
			return k.store.patchStatus(at.ref, c.Body)
		}
		return k.store.patchFinalizers(at.ref, c.Body)
	case http.MethodDelete:
		held := k.store.stored(at.ref)
		if held == nil {
			return nil, notFound(at.ref)
		}
		return held, k.store.delete(at.ref, "")
	}
	return nil, apierrors.NewMethodNotSupported(at.kind.resource(), c.Method)
}

func (k *kubeAPI) fail(err error) answer {
	status, ok := errors.AsType[*apierrors.StatusError](err)
	if !ok {
		status = apierrors.NewInternalError(err)
	}
	form := k.form(runtime.ContentTypeJSON, secrets)
	document, err := form.encode(&status.ErrStatus)
	if err != nil {
		panic(err)
	}
	return answer{Status: int(status.ErrStatus.Code), Header: map[string]string{"Content-Type": form.mediaType}, Body: document}
}

// form is how objects of a kind are written.
type form struct {
	mediaType string
	encoder   runtime.Encoder
	info      runtime.SerializerInfo
	metadata  bool
}

// form is the one that a client asks for first. Custom resources have none but JSON.
func (k *kubeAPI) form(accept string, of kind) form {
	first, _, _ := strings.Cut(accept, ",")
	mediaType := runtime.ContentTypeJSON
	if strings.HasPrefix(first, runtime.ContentTypeProtobuf) && (of == secrets || of == namespaces) {
		mediaType = runtime.ContentTypeProtobuf
	}
	info, _ := runtime.SerializerInfoForMediaType(k.codecs.SupportedMediaTypes(), mediaType)
	version := corev1.SchemeGroupVersion
	if of == accounts || of == marketplaces {
		version = v1alpha1.GroupVersion
	}
	f := form{mediaType: mediaType, info: info, metadata: strings.Contains(first, "as=PartialObjectMetadata")}
	if f.metadata {
		version = metav1.SchemeGroupVersion.WithKind("").GroupVersion()
		version.Group = "meta.k8s.io"
	}
	f.encoder = k.codecs.EncoderForVersion(info.Serializer, version)
	return f
}

// encode writes an object as an API server would, with the record of who wrote which field.
func (f form) encode(object runtime.Object) ([]byte, error) {
	return runtime.Encode(f.encoder, f.shown(object))
}

// shown is the written form of an object.
func (f form) shown(object runtime.Object) runtime.Object {
	stored, ok := object.(client.Object)
	if !ok {
		return object
	}
	if f.metadata {
		shown := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
			Name: stored.GetName(), Namespace: stored.GetNamespace(), UID: stored.GetUID(), ResourceVersion: stored.GetResourceVersion(),
			Labels: stored.GetLabels(), OwnerReferences: stored.GetOwnerReferences(), CreationTimestamp: stored.GetCreationTimestamp(),
			Annotations: stored.GetAnnotations(), Finalizers: stored.GetFinalizers(), ManagedFields: managedFields(stored),
		}}
		return shown
	}
	switch o := stored.(type) {
	case *v1alpha1.MarketplaceAccount:
		shown := *o
		shown.ManagedFields = managedFields(stored)
		return &shown
	case *corev1.Secret:
		shown := *o
		shown.ManagedFields = managedFields(stored)
		return &shown
	}
	return object
}

// apiWatch is a watch: first all objects, then their changes.
type apiWatch struct {
	number int
	of     kind
	// namespace is the one that is watched; empty for all.
	namespace string
	wants     labels.Selector
	form      form
	// left are the objects of the beginning that were not told yet, and later the changes meanwhile.
	left  []ref
	later []watch.Event
}

func (k *kubeAPI) watch(at target, accept string, query url.Values) answer {
	if query.Get("sendInitialEvents") != "true" {
		return k.fail(apierrors.NewBadRequest("watches begin with what there is"))
	}
	wants, err := labels.Parse(query.Get("labelSelector"))
	if err != nil {
		return k.fail(apierrors.NewBadRequest(err.Error()))
	}
	k.begun++
	w := &apiWatch{
		number: k.begun, of: at.kind, namespace: at.Namespace, wants: wants, form: k.form(accept, at.kind),
		left: append(slices.DeleteFunc(k.store.refs(at.kind), func(other ref) bool { return at.Namespace != "" && at.Namespace != other.Namespace }), ref{}),
	}
	k.watches[w.number] = w
	mediaType := w.form.mediaType
	if mediaType != runtime.ContentTypeJSON {
		mediaType += ";stream=watch"
	}
	return answer{Status: http.StatusOK, Header: map[string]string{"Content-Type": mediaType}, Watch: w.number, More: true}
}

// more tells the next piece of the objects that were there when a watch began.
func (k *kubeAPI) more(number int) answer {
	w := k.watches[number]
	var told bytes.Buffer
	for len(w.left) > 0 && told.Len() < piece {
		next := w.left[0]
		w.left = w.left[1:]
		if next == (ref{}) {
			w.write(&told, watch.Event{Type: watch.Bookmark, Object: k.bookmark(w.of)})
			for _, change := range w.later {
				w.write(&told, change)
			}
			w.left, w.later = nil, nil
		} else if object := k.store.stored(next); w.concerns(object) {
			w.write(&told, watch.Event{Type: watch.Added, Object: object})
		}
	}
	return answer{More: len(w.left) > 0, Watched: []watchAnswer{{number, told.Bytes()}}}
}

// bookmark tells that all was told that there was at the beginning.
func (k *kubeAPI) bookmark(of kind) client.Object {
	var object client.Object
	switch of {
	case accounts:
		object = &v1alpha1.MarketplaceAccount{}
	case marketplaces:
		object = &v1alpha1.Marketplace{}
	case secrets:
		object = &corev1.Secret{}
	default:
		object = &corev1.Namespace{}
	}
	object.SetResourceVersion(strconv.FormatInt(k.store.version, 10))
	object.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
	return object
}

// write writes an event as it goes over a connection.
func (w *apiWatch) write(to *bytes.Buffer, what watch.Event) {
	stream := w.form.info.StreamSerializer
	encoder := restwatch.NewEncoder(streaming.NewEncoder(stream.Framer.NewFrameWriter(to), stream.Serializer), w.form.encoder)
	what.Object = w.form.shown(what.Object)
	if err := encoder.Encode(&what); err != nil {
		panic(err)
	}
}

// tell tells watches of a change.
func (k *kubeAPI) tell(what change) {
	for _, w := range k.watches {
		event, concerns := w.event(what)
		if !concerns {
			continue
		}
		if len(w.left) > 0 {
			if !slices.Contains(w.left[:len(w.left)-1], what.at) {
				w.later = append(w.later, event)
			}
			continue
		}
		var told bytes.Buffer
		w.write(&told, event)
		k.undelivered = append(k.undelivered, watchAnswer{w.number, told.Bytes()})
	}
}

// concerns tells whether a watch tells of an object; nil is none.
func (w *apiWatch) concerns(object client.Object) bool {
	return object != nil && (w.namespace == "" || w.namespace == object.GetNamespace()) && w.wants.Matches(labels.Set(object.GetLabels()))
}

func (w *apiWatch) event(what change) (event watch.Event, concerns bool) {
	if what.at.kind != w.of {
		return event, false
	}
	switch before, after := w.concerns(what.before), w.concerns(what.after); {
	case before && after:
		return watch.Event{Type: watch.Modified, Object: what.after}, true
	case after:
		return watch.Event{Type: watch.Added, Object: what.after}, true
	case before && what.after != nil:
		return watch.Event{Type: watch.Deleted, Object: what.after}, true
	case before:
		return watch.Event{Type: watch.Deleted, Object: what.before}, true
	}
	return event, false
}

// managedFields are about as long as those of an API server: who wrote which field.
func managedFields(object client.Object) []metav1.ManagedFieldsEntry {
	if _, ok := object.(*v1alpha1.MarketplaceAccount); ok {
		return fieldsOfAccount
	}
	if secret, ok := object.(*corev1.Secret); ok && secret.Data["adopted"] != nil { // the key of custody
		return fieldsOfKey
	}
	return fieldsOfSecret
}

var (
	fieldsOfAccount = []metav1.ManagedFieldsEntry{
		fieldsOf("kubectl-client-side-apply", "", `{"f:spec":{".":{},"f:applicationSecretRef":{".":{},"f:name":{}},"f:grant":{".":{},"f:refreshToken":{".":{},"f:secretRef":{".":{},"f:name":{}}},"f:type":{}},"f:marketplaceRef":{".":{},"f:name":{}}}}`),
		fieldsOf(v1alpha1.ManagedBy, "status", `{"f:status":{".":{},"f:accessToken":{".":{},"f:expirationTime":{},"f:issuedTime":{},"f:renewalTime":{}},"f:authorization":{".":{},"f:expirationTime":{},"f:grantedTime":{}},"f:conditions":{".":{},"k:{\"type\":\"Authenticated\"}":{".":{},"f:lastTransitionTime":{},"f:message":{},"f:observedGeneration":{},"f:reason":{},"f:status":{},"f:type":{}},"k:{\"type\":\"ReauthRequired\"}":{".":{},"f:lastTransitionTime":{},"f:message":{},"f:observedGeneration":{},"f:reason":{},"f:status":{},"f:type":{}},"k:{\"type\":\"Ready\"}":{".":{},"f:lastTransitionTime":{},"f:message":{},"f:observedGeneration":{},"f:reason":{},"f:status":{},"f:type":{}}},"f:custody":{".":{},"f:serial":{}},"f:observedGeneration":{}}}`),
	}
	fieldsOfKey    = []metav1.ManagedFieldsEntry{fieldsOf(v1alpha1.ManagedBy, "", `{"f:data":{".":{},"f:adopted":{},"f:current":{}},"f:type":{}}`)}
	fieldsOfSecret = []metav1.ManagedFieldsEntry{
		fieldsOf(v1alpha1.ManagedBy, "", `{"f:data":{".":{},"f:access_token":{},"f:api_hosts":{},"f:expires_at":{},"f:token_type":{}},"f:metadata":{"f:labels":{".":{},"f:app.kubernetes.io/managed-by":{},"f:tokenkeeper.dev/account":{}},"f:ownerReferences":{".":{},"k:{\"uid\":\"00000000-0000-4000-8000-000000000000\"}":{}}},"f:type":{}}`),
	}
)

func fieldsOf(manager, subresource, fields string) metav1.ManagedFieldsEntry {
	return metav1.ManagedFieldsEntry{
		Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1", FieldsType: "FieldsV1", Subresource: subresource,
		FieldsV1: metav1.NewFieldsV1(fields),
	}
}
