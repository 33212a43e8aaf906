// Microsoft's own JavaScript client against a simulated tenant: it signs in, pages users and groups, creates a user and
// sends a batch. What it finds goes to standard output as JSON.
//
//   NODE_EXTRA_CA_CERTS=ca.pem node client.cjs https://127.0.0.1:PORT TENANT CLIENT_ID CLIENT_SECRET
const { Client, PageIterator, BatchRequestContent, BatchResponseContent } = require("@microsoft/microsoft-graph-client");

const [base, tenant, id, secret] = process.argv.slice(2);

async function token() {
  const body = new URLSearchParams({
    grant_type: "client_credentials", client_id: id, client_secret: secret, scope: "https://graph.microsoft.com/.default",
  });
  const answer = await fetch(`${base}/${tenant}/oauth2/v2.0/token`, { method: "POST", body });
  return (await answer.json()).access_token;
}

async function main() {
  const access = await token();
  const client = Client.init({
    baseUrl: base, customHosts: new Set([new URL(base).hostname]), authProvider: (done) => done(null, access),
  });
  const all = async (request) => {
    const items = [];
    await new PageIterator(client, await request.get(), (item) => items.push(item) > 0).iterate();
    return items;
  };
  const created = await client.api("/users").post({
    accountEnabled: true, displayName: "Adele Vance", mailNickname: "AdeleV", userPrincipalName: "AdeleV@example.com",
    passwordProfile: { forceChangePasswordNextSignIn: true, password: "xWwvJ]6NMw+bWH-d" },
  });
  const users = await all(client.api("/users").select("id,userPrincipalName").top(7));
  const groups = await all(client.api("/groups").select(["id", "displayName"]).top(3));
  const found = await client.api("/users").filter("userPrincipalName eq 'AdeleV@example.com'").select("id").get();

  // The client cuts the host off and nothing else: an item's URL has no version.
  const steps = new BatchRequestContent([
    { id: "1", request: new Request(`${base}/users/${created.id}`, { method: "GET" }) },
    {
      id: "2",
      request: new Request(`${base}/groups/${groups[0].id}/members/$ref`, {
        method: "POST", headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ "@odata.id": `https://graph.microsoft.com/v1.0/directoryObjects/${created.id}` }),
      }),
    },
    { id: "3", request: new Request(`${base}/users/nobody@example.com`, { method: "GET" }) },
  ]);
  const answers = new BatchResponseContent(await client.api("/$batch").post(await steps.getContent()));
  let refusal;
  try {
    await client.api("/users/nobody@example.com").get();
  } catch (error) {
    refusal = `${error.statusCode} ${error.code}`;
  }
  console.log(JSON.stringify({
    created: created.id, users: users.length, groups: groups.length, found: found.value.map((u) => u.id),
    batch: Object.fromEntries(["1", "2", "3"].map((step) => [step, answers.getResponseById(step).status])), refusal,
  }));
}

main().catch((error) => { console.error(error); process.exit(1); });
