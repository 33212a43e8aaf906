package entra

import (
	"context"

	"rollcall/provider"
	"rollcall/provider/pace"
)

// Type returns Microsoft Entra ID as a type of provider.
func Type() provider.Type {
	return provider.Type{
		Name: "microsoft_entra", Title: "Microsoft Entra", Product: "Microsoft Entra ID", Secret: "client_secret",
		Keys: map[string]string{
			"tenant_id": "The tenant's id, or one of its domains.",
			"client_id": "The id of the app registration. It needs the application permissions " +
				"`User.ReadWrite.All`, `Group.ReadWrite.All`, `Directory.Read.All` and `Domain.Read.All`, with an " +
				"administrator's consent.",
			"client_secret_file":        "A client secret of the app. It, `certificate_file` or a workload identity is needed.",
			"certificate_file":          "A certificate of the app with its private key, as PEM or PKCS #12.",
			"certificate_password_file": "The password of that file.",
			"federated_token_file":      "The token of a workload identity (Kubernetes).",
			"workload_identity":         "Take the path of that token from `AZURE_FEDERATED_TOKEN_FILE`.",
			"authority": "The sign-in service: `https://login.microsoftonline.us/` or " +
				"`https://login.chinacloudapi.cn/` for other clouds.",
			"endpoint": "Microsoft Graph with its version: `https://graph.microsoft.us/v1.0`, " +
				"`https://microsoftgraph.chinacloudapi.cn/v1.0`.",
			"ca_file":                 "More certificate authorities, as PEM: for a private endpoint or the simulator.",
			"max_requests_per_second": "What all workers together may use of the quota, in resource units.",
			"max_writes_per_second":   "The same for writes.",
		},
		Fields: Spec(), New: func() provider.Config { return new(Config) }, EntryID: ID,
	}
}

// Quotas returns the quota of the tenant.
func (c *Config) Quotas() []provider.Quota { return []provider.Quota{{Rates: c.Rates()}} }

// Open implements provider.Config.
func (c *Config) Open(env provider.Env) (provider.Tenant, error) {
	opts := Options{Observe: env.Request, Cache: env.Cache, Getenv: env.Getenv}
	if limiter := env.Limiters[""]; limiter != nil {
		opts.Caller = pace.NewCaller(pace.CallerConfig{Limiter: limiter, Timeout: c.RequestTimeout, Observe: env.Attempt})
		// Graph says that the quota is nearly spent before it refuses: all workers slow down then, and no request is refused.
		opts.Strained = func(ctx context.Context, _ float64) { _ = limiter.Refused(ctx, 0) }
	}
	p, err := New(*c, opts)
	if err != nil {
		return nil, err
	}
	return p, nil
}
