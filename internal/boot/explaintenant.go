package boot

import (
	"context"

	"rollcall/explain"
	"rollcall/plan"
)

// askTenants looks in the tenants for an address that no directory has: whose anchor is on the account is explained, and one
// that is not ours is named.
func (x *explainer) askTenants(ctx context.Context, in *explain.Input) error {
	for _, name := range x.app.providers() {
		if s, _ := x.app.settings(name); !s.On() {
			continue
		}
		p := explain.ProviderInput{Container: name}
		c, err := x.container(name)
		if err == nil {
			p.Strangers, err = c.Engine().Holders(ctx, in.Query.Value, max(patience(ctx), 1))
		}
		if p.Err = err; err == nil && len(p.Strangers) == 0 {
			continue
		}
		in.Providers = append(in.Providers, p)
		for i := range p.Strangers {
			whose, err := x.whose(ctx, &p.Strangers[i])
			if err != nil {
				return err
			}
			if whose != nil {
				whose.Query = in.Query
				*in = *whose
				return nil
			}
		}
	}
	return nil
}

// whose gathers what is known of the entry whose anchor an object carries; nil where nobody knows one.
func (x *explainer) whose(ctx context.Context, o *plan.Object) (*explain.Input, error) {
	if o.ID == "" {
		return nil, nil // there is none, and that is no error
	}
	in, err := x.gather(ctx, explain.Query{By: explain.ByID, Value: string(o.ID)})
	if err != nil || nobody(&in) {
		return nil, err
	}
	return &in, nil
}
