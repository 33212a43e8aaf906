// A SCIM server that keeps users and groups in memory. scim-patch carries out each PATCH, and scim2-parse-filter each
// filter. It has nothing else, neither a ServiceProviderConfig nor versions. It prints its port.
import {randomUUID} from "node:crypto";
import {createServer} from "node:http";
import scimPatchModule from "scim-patch";
import filterModule from "scim2-parse-filter";

const {patchBodyValidation, scimPatch} = scimPatchModule;
const {filter, parse} = filterModule;
const store = {Users: new Map(), Groups: new Map()};

class Refusal extends Error {
    constructor(status, scimType) {
        super(scimType);
        this.status = status;
        this.scimType = scimType;
    }
}

function save(kind, id, resource) {
    const name = resource.userName?.toLowerCase();
    for (const other of store[kind].values()) {
        if (name && other.id !== id && other.userName.toLowerCase() === name) {
            throw new Refusal(409, "uniqueness");
        }
    }
    const saved = {...resource, id, meta: {resourceType: kind.slice(0, -1), lastModified: new Date().toISOString()}};
    store[kind].set(id, saved);
    return saved;
}

function list(kind, query) {
    let all = [...store[kind].values()];
    if (query.has("filter")) {
        try {
            all = all.filter(filter(parse(query.get("filter"))));
        } catch {
            throw new Refusal(400, "invalidFilter");
        }
    }
    const from = Math.max(1, Number(query.get("startIndex") ?? 1));
    const page = all.slice(from - 1, from - 1 + Math.min(50, Number(query.get("count") ?? 50)));
    const without = query.get("excludedAttributes");
    return {
        schemas: ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], totalResults: all.length, startIndex: from,
        itemsPerPage: page.length, Resources: page.map((r) => without ? {...r, [without]: undefined} : r),
    };
}

function answer(method, kind, id, query, body) {
    if (!store[kind]) {
        throw new Refusal(404);
    }
    if (!id && method === "GET") {
        return [200, list(kind, query)];
    }
    if (!id && method === "POST") {
        return [201, save(kind, randomUUID(), body)];
    }
    const found = store[kind].get(id);
    if (!found) {
        throw new Refusal(404);
    }
    switch (method) {
    case "GET":
        return [200, found];
    case "PUT":
        return [200, save(kind, id, body)];
    case "PATCH":
        try {
            patchBodyValidation(body);
            return [200, save(kind, id, scimPatch(structuredClone(found), body.Operations))];
        } catch (error) {
            throw error instanceof Refusal ? error : new Refusal(400, error.scimCode ?? String(error));
        }
    case "DELETE":
        store[kind].delete(id);
        return [204];
    }
    throw new Refusal(405);
}

const server = createServer(async (request, response) => {
    let status, body, text = "";
    try {
        for await (const part of request) {
            text += part;
        }
        if (request.headers.authorization !== "Bearer scimmy-token") {
            throw new Refusal(401);
        }
        const url = new URL(request.url, "http://localhost");
        const [kind, id] = url.pathname.replace("/scim/v2/", "").split("/").map(decodeURIComponent);
        [status, body] = answer(request.method, kind, id, url.searchParams, text ? JSON.parse(text) : undefined);
    } catch (error) {
        status = error.status ?? 500;
        body = {
            schemas: ["urn:ietf:params:scim:api:messages:2.0:Error"], status: String(status),
            scimType: error.scimType, detail: error.message,
        };
    }
    response.writeHead(status, {"Content-Type": "application/scim+json"});
    response.end(body && JSON.stringify(body));
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
