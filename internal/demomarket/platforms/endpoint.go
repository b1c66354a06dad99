package platforms

// Endpoint is one kind of address that a platform serves.
type Endpoint string

// The endpoints, by which requests are counted and faults are aimed.
const (
	TokenEndpoint      Endpoint = "token"
	RevocationEndpoint Endpoint = "revocation"
	IdentityEndpoint   Endpoint = "identity"
	DiscoveryEndpoint  Endpoint = "discovery"
	KeysEndpoint       Endpoint = "keys"
	// AuthorizationEndpoint serves the pages on which a person logs in and consents, and sends him back.
	AuthorizationEndpoint Endpoint = "authorization"
	// StoreEndpoint serves the pages on which a person finds an application, and ConfirmationEndpoint is where that sends
	// him back.
	StoreEndpoint        Endpoint = "store"
	ConfirmationEndpoint Endpoint = "confirmation"
	// DeviceAuthorizationEndpoint gives out device codes, and DeviceEndpoint serves the pages where a person enters the
	// user code.
	DeviceAuthorizationEndpoint Endpoint = "device_authorization"
	DeviceEndpoint              Endpoint = "device"
)
