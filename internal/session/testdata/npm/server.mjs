// An OpenID provider on loopback for the client "rollcall". Usage: node server.mjs REDIRECT_URL
// It prints its issuer. Any name and password sign in; the name is also that of a group.
import http from 'node:http'
import Provider from 'oidc-provider'

const server = http.createServer()
await new Promise(done => server.listen(0, '127.0.0.1', done))
const issuer = `http://127.0.0.1:${server.address().port}`
const provider = new Provider(issuer, {
	clients: [{
		client_id: 'rollcall',
		redirect_uris: [process.argv[2]],
		token_endpoint_auth_method: 'none',
		grant_types: ['authorization_code'],
		response_types: ['code'],
	}],
	claims: { openid: ['sub'], email: ['email', 'email_verified'], groups: ['groups'] },
	conformIdTokenClaims: false,
	pkce: { required: () => true },
	cookies: { keys: ['a key of a test'] },
	findAccount: (_, id) => ({
		accountId: id,
		claims: () => ({ sub: id, email: `${id}@example.com`, email_verified: true, groups: [id] }),
	}),
})
server.on('request', provider.callback())
console.log(issuer)
