// Google's own JavaScript client against a simulated tenant: it signs in as a service account, pages users and groups,
// creates a user, adds a member and deletes both. What it finds goes to standard output as JSON.
//
//   node client.cjs http://127.0.0.1:PORT credentials.json ADMINISTRATOR
const fs = require("fs");
const { admin, auth: { JWT } } = require("@googleapis/admin");

const [base, file, subject] = process.argv.slice(2);
const scopes = ["user", "group", "group.member"].map((s) => `https://www.googleapis.com/auth/admin.directory.${s}`);

async function signIn() {
  const key = JSON.parse(fs.readFileSync(file));
  const client = new JWT({ email: key.client_email, key: key.private_key, keyId: key.private_key_id, subject, scopes });
  // The library signs for Google's own address alone, so the assertion is made here and its answer is handed over.
  const now = Math.floor(Date.now() / 1000);
  const encode = (v) => Buffer.from(JSON.stringify(v)).toString("base64url");
  const claims = { iss: key.client_email, sub: subject, aud: key.token_uri, scope: scopes.join(" "), iat: now, exp: now + 3600 };
  const signed = `${encode({ alg: "RS256", typ: "JWT", kid: key.private_key_id })}.${encode(claims)}`;
  const signature = require("crypto").sign("RSA-SHA256", Buffer.from(signed), key.private_key).toString("base64url");
  const answer = await fetch(key.token_uri, {
    method: "POST",
    body: new URLSearchParams({ grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer", assertion: `${signed}.${signature}` }),
  });
  const token = await answer.json();
  client.setCredentials({ access_token: token.access_token, token_type: token.token_type, expiry_date: Date.now() + 3600_000 });
  return client;
}

async function pages(method, params, field) {
  const items = [];
  let pageToken;
  do {
    const { data } = await method({ ...params, pageToken });
    items.push(...(data[field] || []));
    pageToken = data.nextPageToken;
  } while (pageToken);
  return items;
}

async function main() {
  const directory = admin({ version: "directory_v1", auth: await signIn(), rootUrl: `${base}/` });
  const address = "adele@example.com";
  const { data: created } = await directory.users.insert({
    requestBody: { primaryEmail: address, name: { givenName: "Adele", familyName: "Vance" }, password: "xWwvJ]6NMw+bWH-d" },
  });
  const users = await pages((p) => directory.users.list(p), { customer: "my_customer", maxResults: 7 }, "users");
  const groups = await pages((p) => directory.groups.list(p), { customer: "my_customer", maxResults: 3 }, "groups");
  const { data: member } = await directory.members.insert({ groupKey: groups[0].id, requestBody: { email: address, role: "MEMBER" } });
  const members = await pages((p) => directory.members.list(p), { groupKey: groups[0].id }, "members");
  const { data: renamed } = await directory.users.update({ userKey: created.id, requestBody: { name: { familyName: "Smith" } } });
  let refusal;
  try {
    await directory.users.get({ userKey: "nobody@example.com" });
  } catch (error) {
    refusal = `${error.status} ${error.message}`;
  }
  await directory.members.delete({ groupKey: groups[0].id, memberKey: member.id });
  await directory.users.delete({ userKey: created.id });
  console.log(JSON.stringify({
    created: created.id, users: users.length, groups: groups.length, members: members.map((m) => m.email),
    name: renamed.name.familyName, refusal,
  }));
}

main().catch((error) => { console.error(error); process.exit(1); });
