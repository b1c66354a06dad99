package custody

import "slices"

// Unproven is a Custody of which nobody can say that the operator wrote it. What it would have sent says so from now on, also after it was
// written by the operator. It knows nothing of the Secrets that users wrote.
func (c Custody) Unproven() Custody {
	c.Seen = Seen{}
	return c.withProof(false)
}

// Proven is a Custody of which somebody has said that it may be taken for the operator's.
func (c Custody) Proven() Custody { return c.withProof(true) }

func (c Custody) withProof(proven bool) Custody {
	c.Grant.Unproven = !proven && c.RefreshToken != ""
	for _, grant := range []**Grant{&c.Candidate, &c.Aside} {
		if *grant != nil {
			same := **grant
			same.Unproven = !proven && same.RefreshToken != ""
			*grant = &same
		}
	}
	if c.SignIn.Device != nil {
		same := *c.SignIn.Device
		same.Unproven = !proven
		c.SignIn.Device = &same
	}
	c.SignIn.Visits = slices.Clone(c.SignIn.Visits)
	for i := range c.SignIn.Visits {
		c.SignIn.Visits[i].Unproven = !proven
	}
	return c
}
