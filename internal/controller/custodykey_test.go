package controller_test

import (
	"bytes"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// These stories have a key of custody. In some the account uses the Marketplace's own application, which many share.

// keyed lets the operator authenticate what it writes.
func (w *world) keyed() { w.keyedIn(w.namespaces[0]) }

// keyedIn is keyed for an operator in another namespace than the story's.
func (w *world) keyedIn(namespace string) {
	w.custodyKey = client.ObjectKey{Namespace: namespace, Name: "tokenkeeper-custody-key"}
}

// keySecret is the Secret of the key.
func (w *world) keySecret() *corev1.Secret {
	w.T.Helper()
	return w.GetSecret(w.custodyKey.Namespace, w.custodyKey.Name)
}

// prepareShared is prepareSignIn for an account without an application of its own.
func (w *world) prepareShared(platform string, grant v1alpha1.GrantType) *demomarket.Market {
	w.T.Helper()
	w.signInApplication(platform)
	w.marketplace(platform, withSharedApplication(w))
	if grant == v1alpha1.GrantRefreshToken {
		w.imported(platform)
	}
	w.account(platform, grant, withoutApplication)
	return w.Market.Platform(platform)
}

func withSharedApplication(w *world) func(*v1alpha1.Marketplace) {
	return func(m *v1alpha1.Marketplace) {
		m.Spec.Application = &v1alpha1.Application{
			SecretRef: v1alpha1.NamespacedSecretReference{Name: "app", Namespace: w.Namespace}, NamespaceSelector: &metav1.LabelSelector{},
		}
	}
}

func withoutApplication(a *v1alpha1.MarketplaceAccount) {
	a.Spec.ApplicationSecretRef = v1alpha1.SecretReference{}
}

// adopt is an admin's word about a Marketplace.
func (w *world) adopt(platform, value string) {
	w.T.Helper()
	w.EditMarketplace(platform, func(m *v1alpha1.Marketplace) {
		metav1.SetMetaDataAnnotation(&m.ObjectMeta, v1alpha1.AnnotationAdoptCustody, value)
	})
}

// expectServed says that the account goes on without anybody: its token is renewed by one call, and nothing is told of the key.
func (w *world) expectServed(platform string) {
	w.T.Helper()
	expectAllServed(platform, w)
}

// expectAllServed is expectServed for stories under one operator.
func expectAllServed(platform string, worlds ...*world) {
	worlds[0].T.Helper()
	calls := make([]int, len(worlds))
	for i, w := range worlds {
		w.expectReady()
		calls[i] = w.calls(platform)
	}
	passRenewals(worlds...)
	for i, w := range worlds {
		w.expectReady()
		w.expectAuthenticated()
		w.Expect(w.calls(platform)).To(Equal(calls[i] + 1))
		w.Expect(w.events()).NotTo(ContainElement("Warning CustodyUnauthenticated"))
		w.Expect(w.get().Status.SignIn).To(BeNil())
		w.Expect(w.Market.Platform(platform).Report().DoubleSpends).To(BeZero())
	}
}

// editKey changes the Secret of the key.
func (w *world) editKey(change func(data map[string][]byte)) {
	w.T.Helper()
	secret := w.keySecret()
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	change(secret.Data)
	w.Expect(kube.Update(w.T.Context(), secret)).To(Succeed())
}

// rotateKey returns the Secret as it was before the key was rotated twice, while no operator ran. The documents are signed with the newest.
func (w *world) rotateKey(other *world) (older *corev1.Secret) {
	w.T.Helper()
	older = w.keySecret()
	for _, filling := range []string{"m", "n"} {
		w.stop()
		w.editKey(func(data map[string][]byte) {
			data["previous"], data["current"] = data["current"], bytes.Repeat([]byte(filling), 40)
		})
		w.start()
		passRenewals(w, other)
	}
	return older
}

// restoreKey puts a backup of the Secret, with all that the API server noted then, over the one that there is.
func (w *world) restoreKey(backup *corev1.Secret) {
	w.T.Helper()
	backup.ResourceVersion = w.keySecret().ResourceVersion
	w.Expect(kube.Update(w.T.Context(), backup)).To(Succeed())
}

// replaceKey puts another Secret in the place of the one of the key.
func (w *world) replaceKey(data map[string][]byte) {
	w.T.Helper()
	w.Delete(w.keySecret())
	w.Create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.custodyKey.Namespace, Name: w.custodyKey.Name}, Data: data})
}

// fatesOfTheKey are what may become of the key of custody: that of an operator which serves two accounts.
func fatesOfTheKey() map[string]func(w, other *world) {
	return map[string]func(w, other *world){
		"nothing":                   func(*world, *world) {},
		"a restart":                 func(w, _ *world) { w.start() },
		"the key is lost":           func(w, _ *world) { w.stop(); w.Delete(w.keySecret()); w.start() },
		"the key is lost meanwhile": func(w, _ *world) { w.Delete(w.keySecret()) },
		"the key is emptied":        func(w, _ *world) { w.stop(); w.editKey(func(data map[string][]byte) { clear(data) }); w.start() },
		"the key is rotated": func(w, _ *world) {
			w.editKey(func(data map[string][]byte) {
				data["previous"], data["current"] = data["current"], bytes.Repeat([]byte("n"), 40)
			})
		},
		"the key is rotated, and the operator starts": func(w, _ *world) {
			w.stop()
			w.editKey(func(data map[string][]byte) {
				data["previous"], data["current"] = data["current"], bytes.Repeat([]byte("n"), 40)
			})
			w.start()
		},
		"an older key is restored": func(w, other *world) {
			older := w.rotateKey(other)
			w.stop()
			w.replaceKey(older.Data)
			w.start()
		},
		"an older key is restored in place": func(w, other *world) {
			older := w.rotateKey(other)
			w.stop()
			w.restoreKey(older)
			w.start()
		},
		"an older key is restored in place meanwhile": func(w, other *world) {
			older := w.rotateKey(other)
			w.restoreKey(older)
		},
		"another installation has the same key": func(w, _ *world) {
			w.stop()
			w.replaceKey(map[string][]byte{"current": w.keySecret().Data["current"]})
			w.start()
		},
		"another installation has another key": func(w, _ *world) {
			w.stop()
			w.replaceKey(nil)
			w.start()
		},
		"an operator without a key, and one with it again": func(w, other *world) {
			w.custodyKey = client.ObjectKey{}
			w.start()
			passRenewals(w, other) // without a MAC
			w.keyed()
			w.stop()
			w.Delete(w.keySecret())
			w.start()
		},
	}
}

// TestNobodyIsUnservedForTheKey: whatever becomes of the key, accounts go on without a sign-in and without a call more than the renewal.
func TestNobodyIsUnservedForTheKey(t *testing.T) {
	t.Parallel()
	for name, happens := range fatesOfTheKey() {
		t.Run(name, func(t *testing.T) { nobodyIsUnserved(t, func(w, _ *world) { w.keyed() }, happens) })
	}
}

// TestNobodyIsUnservedForTheKeyInSomeNamespaces has the rights of config/namespaced, which make no Secret in the operator's namespace.
func TestNobodyIsUnservedForTheKeyInSomeNamespaces(t *testing.T) {
	t.Parallel()
	fates := fatesOfTheKey()
	for _, name := range []string{
		"the key is lost", "the key is emptied", "the key is rotated, and the operator starts", "an older key is restored", "an older key is restored in place",
		"another installation has another key",
	} {
		t.Run(name, func(t *testing.T) {
			w := nobodyIsUnserved(t, func(w, other *world) {
				w.keyedIn(w.another(nil))
				w.user, _ = w.namespacedRights(w.custodyKey.Namespace, w.Namespace, other.Namespace)
				var empty corev1.Secret
				w.manifest(filepath.Join("rbac", "custody_key.yaml"), &empty)
				empty.Namespace = w.custodyKey.Namespace
				w.Create(&empty)
			}, fates[name])
			err := kube.Get(t.Context(), w.custodyKey, &corev1.Secret{})
			w.Expect(apierrors.IsNotFound(err)).To(Equal(name == "the key is lost"), "the operator may not make it: %v", err)
		})
	}
}

// nobodyIsUnserved has two accounts served before and after something happens: one with an application of its own, one with a shared one.
func nobodyIsUnserved(t *testing.T, installed, happens func(w, other *world)) *world {
	t.Helper()
	worlds := newWorlds(t, "own application", "shared application")
	w, other := worlds[0], worlds[1]
	installed(w, other)
	w.prepare("allegro", v1alpha1.GrantRefreshToken)
	other.prepareShared("allegro", v1alpha1.GrantRefreshToken)
	w.start()
	expectAllServed("allegro", worlds...)
	for _, w := range worlds {
		w.Expect(w.readSecret("main-grant").Data).To(HaveKey("grant.mac"))
	}
	happens(w, other)
	w.settle()
	expectAllServed("allegro", worlds...)
	expectAllServed("allegro", worlds...)
	w.start()
	expectAllServed("allegro", worlds...)
	return w
}

// TestAForgedDocumentOfAnAccountWithItsOwnApplication is served as before, said once, and signed at the next write.
func TestAForgedDocumentOfAnAccountWithItsOwnApplication(t *testing.T) {
	w := newWorld(t)
	w.keyed()
	w.prepare("allegro", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.settle()
	calls := w.calls("allegro")
	w.editCustody(func(kept *custody.Custody) { kept.Account.Login = "another name" })
	w.settle()
	w.Eventually(w.events).Should(ContainElement("Warning CustodyUnauthenticated"))
	before := w.readSecret("main-grant")
	w.start()
	w.Expect(w.readSecret("main-grant").ResourceVersion).To(Equal(before.ResourceVersion), "it was written for the MAC alone")
	w.expectReady()
	w.Expect(w.calls("allegro")).To(Equal(calls))
	w.passRenewal()
	w.expectAuthenticated()
	w.Expect(w.calls("allegro")).To(Equal(calls + 1))
	told := len(w.events())
	w.start() // it is authentic again
	w.passRenewal()
	w.Expect(w.events()).To(HaveLen(told))
}

// TestAStolenRefreshTokenIsNotSentWithASharedApplication: not at once, and not once the operator has written the document itself.
func TestAStolenRefreshTokenIsNotSentWithASharedApplication(t *testing.T) {
	w := newWorld(t)
	w.keyed()
	market := w.prepareShared("allegro", v1alpha1.GrantAuthorizationCode)
	w.start()
	_, err := w.browser().signIn("allegro", w.link(), demomarket.Person{})
	w.Expect(err).NotTo(HaveOccurred())
	w.expectReady()
	w.passRenewal()
	calls := w.calls("allegro")
	stolen := market.Grant(market.OtherSeller().ID)
	watched.Secret(stolen)
	w.editCustody(func(kept *custody.Custody) { kept.RefreshToken = stolen })
	w.settle()
	message := w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonSignInRequired)
	w.Expect(message).To(And(ContainSubstring("was not put there by tokenkeeper"), ContainSubstring(v1alpha1.AnnotationAdoptCustody)))
	w.expectReady() // its token is good
	w.link()        // which is a write, under the key
	w.annotate(v1alpha1.AnnotationRenew, "now")
	w.start()
	w.passUntil(w.renewalTime().Add(time.Hour))
	w.annotate(v1alpha1.AnnotationRenew, "again")
	w.Expect(w.calls("allegro")).To(Equal(calls), "it was sent")

	// A person signs in, and the account goes on.
	_, err = w.browser().signIn("allegro", w.link(), demomarket.Person{})
	w.Expect(err).NotTo(HaveOccurred())
	w.expectReady()
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
	w.passRenewal()
	w.expectAuthenticated()
	w.Expect(w.get().Status.Account.ID).To(Equal(market.Seller().ID))
}

// TestAnAdminVouchesForGrantSecrets: the documents of the Marketplace that exist then count, and none that is written later.
func TestAnAdminVouchesForGrantSecrets(t *testing.T) {
	w := newWorld(t)
	w.keyed()
	w.prepareShared("allegro", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.settle()
	touch := func(login string) {
		w.editCustody(func(kept *custody.Custody) { kept.Account.Login = login })
		w.settle()
	}
	touch("a restored document")
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonSignInRequired)
	w.adopt("allegro", "1")
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
	calls := w.calls("allegro")
	w.passRenewal()
	w.expectAuthenticated()
	w.Expect(w.calls("allegro")).To(Equal(calls + 1))

	touch("one that was written since")
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonSignInRequired)
	w.start()
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonSignInRequired)
	w.passUntil(w.renewalTime().Add(time.Minute))
	w.Expect(w.calls("allegro")).To(Equal(calls+1), "one word has adopted what came after it")
	w.adopt("allegro", "2")
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
	w.expectAuthenticated()
}

// TestADocumentOfAnotherAccount is pasted into one's own grant Secret.
func TestADocumentOfAnotherAccount(t *testing.T) {
	w := newWorld(t)
	w.keyed()
	w.prepareShared("allegro", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.account("allegro", v1alpha1.GrantDeviceCode, withoutApplication, func(a *v1alpha1.MarketplaceAccount) { a.Name = "thief" })
	w.Eventually(func() error {
		return kube.Get(t.Context(), client.ObjectKey{Namespace: w.Namespace, Name: "thief-grant"}, &corev1.Secret{})
	}).Should(Succeed())
	w.settle()
	calls := w.calls("allegro")
	pasted := w.readSecret("thief-grant")
	pasted.Data = w.readSecret("main-grant").Data
	w.Expect(kube.Update(t.Context(), pasted)).To(Succeed())
	w.settle()
	thief := &v1alpha1.MarketplaceAccount{}
	w.Eventually(func() string {
		w.Expect(kube.Get(t.Context(), client.ObjectKey{Namespace: w.Namespace, Name: "thief"}, thief)).To(Succeed())
		for _, condition := range thief.Status.Conditions {
			if condition.Type == v1alpha1.ConditionReauthRequired {
				return string(condition.Status)
			}
		}
		return ""
	}).Should(Equal("True"))
	metav1.SetMetaDataAnnotation(&thief.ObjectMeta, v1alpha1.AnnotationRenew, "now")
	w.Expect(kube.Update(t.Context(), thief)).To(Succeed())
	w.pass(time.Minute)
	w.Expect(w.calls("allegro")-w.Market.Platform("allegro").Report().DevicePolls).To(BeNumerically("<=", calls), "the token of another account was sent")
	w.Expect(w.Market.Platform("allegro").Report().DoubleSpends).To(BeZero())
}

// TestAStolenDeviceCodeIsNotSentWithASharedApplication although it asks for what the account asks for.
func TestAStolenDeviceCodeIsNotSentWithASharedApplication(t *testing.T) {
	w := newWorld(t)
	w.keyed()
	market := w.prepareShared("allegro", v1alpha1.GrantDeviceCode)
	w.start()
	first := w.userCode("")
	w.settle()
	polls := market.Report().DevicePolls
	w.editCustody(func(kept *custody.Custody) { kept.SignIn.Device.Code = "stolen" })
	w.settle()
	code := w.userCode(first)
	w.Expect(market.Report().Count(demomarket.GrantDeviceCode, demomarket.InvalidGrant)).To(BeZero())
	w.Expect(market.ApproveDevice(code, market.Seller().ID)).To(Succeed())
	w.pass(5 * time.Second)
	w.expectReady()
	w.Expect(market.Report().DevicePolls).To(BeNumerically(">", polls))
	w.passRenewal()
	w.expectAuthenticated()
}

// TestAnAccountMovesBetweenInstallations as its owner has suspended it first, so that its refresh token is good.
func TestAnAccountMovesBetweenInstallations(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ sharedKey, sharedApplication bool }{
		"with the same key, own application":    {true, false},
		"with the same key, shared application": {true, true},
		"with another key, own application":     {false, false},
		"with another key, shared application":  {false, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.keyed()
			if test.sharedApplication {
				w.prepareShared("ebay", v1alpha1.GrantRefreshToken)
			} else {
				w.prepare("ebay", v1alpha1.GrantRefreshToken)
			}
			w.start()
			w.expectServed("ebay")
			backup, key := w.backUp(), w.keySecret().Data["current"]
			w.stop()
			for _, secret := range []string{"main-grant", "main-token"} {
				w.Delete(w.readSecret(secret))
			}
			w.removeAccount()
			// The other installation has been there for a while.
			w.replaceKey(nil)
			if test.sharedKey {
				w.editKey(func(data map[string][]byte) { data["current"] = key })
			}
			w.begin()
			w.Eventually(func() map[string][]byte { return w.keySecret().Data }).Should(HaveKeyWithValue("adopted", ContainSubstring("before")))
			for _, object := range backup {
				object.SetUID("")
				object.SetResourceVersion("")
				object.SetOwnerReferences(nil)
				w.Create(object)
			}
			w.expectReady()
			if !test.sharedKey && test.sharedApplication {
				w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonSignInRequired)
				w.adopt("ebay", "moved")
				w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
			}
			calls := w.calls("ebay")
			w.passRenewal()
			w.expectAuthenticated()
			w.Expect(w.calls("ebay")).To(Equal(calls + 1))
			if test.sharedKey {
				w.Expect(w.events()).NotTo(ContainElement("Warning CustodyUnauthenticated"))
			}
		})
	}
}

// TestTheKeyCostsNoWriteAndNoRead of a renewal.
func TestTheKeyCostsNoWriteAndNoRead(t *testing.T) {
	t.Parallel()

	for _, keyed := range []bool{false, true} {
		t.Run(map[bool]string{true: "with a key", false: "without"}[keyed], func(t *testing.T) {
			w := newWorld(t)
			if keyed {
				w.keyed()
			}
			w.prepare("allegro", v1alpha1.GrantRefreshToken)
			w.start()
			w.expectReady()
			w.passRenewal()
			w.settle()
			w.traffic.reset()
			w.passRenewal()
			w.settle()
			w.Expect(w.traffic.writes()).To(BeNumerically("<=", 4), "%v", w.traffic.counted())
			w.Expect(w.traffic.reads()).To(BeZero(), "%v", w.traffic.counted())

		})
	}
}
