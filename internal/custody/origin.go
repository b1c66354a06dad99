package custody

// Origin is where a grant was given. A refresh token is sent nowhere else: another server could not renew it, and could keep it.
type Origin struct {
	// Marketplace is name and environment.
	Marketplace string `json:"marketplace,omitempty"`
	// Server stands for the token endpoint's server, and Chosen for the hosts that the account's author chose; empty where the Marketplace
	// fixes all.
	Server string `json:"server,omitempty"`
	Chosen string `json:"chosen,omitempty"`
}

// Allows tells that a grant of this origin may be sent to the server of now: the one that gave it. A Marketplace may move its hosts, and another may
// lead to the same server. It is true where the origin is not known.
func (o Origin) Allows(now Origin) bool {
	return o == Origin{} || o.Chosen == now.Chosen && (o.Marketplace == now.Marketplace || o.Server == now.Server)
}
