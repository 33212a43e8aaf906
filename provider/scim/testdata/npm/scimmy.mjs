// A SCIM server of scimmy and scimmy-routers that keeps users and groups in memory. It prints its port.
import {randomUUID} from "node:crypto";
import express from "express";
import SCIMMY from "scimmy";
import SCIMMYRouters from "scimmy-routers";

const store = {users: new Map(), groups: new Map()};

SCIMMY.Resources.User.extend(SCIMMY.Schemas.EnterpriseUser, false);

function handlers(kind, unique) {
    const all = store[kind];
    return {
        ingress: async (resource, data) => {
            const plain = JSON.parse(JSON.stringify(data));
            const id = resource.id ?? randomUUID();
            if (resource.id && !all.has(resource.id)) {
                throw new SCIMMY.Types.Error(404, null, `Resource ${resource.id} not found`);
            }
            for (const other of all.values()) {
                if (unique && other.id !== id && other[unique].toLowerCase() === plain[unique].toLowerCase()) {
                    throw new SCIMMY.Types.Error(409, "uniqueness", `${unique} is taken`);
                }
            }
            const created = all.get(id)?.meta?.created ?? new Date().toISOString();
            const saved = {...plain, id, meta: {created, lastModified: new Date().toISOString()}};
            all.set(id, saved);
            return saved;
        },
        egress: async (resource) => {
            if (resource.id) {
                const found = all.get(resource.id);
                if (!found) {
                    throw new SCIMMY.Types.Error(404, null, `Resource ${resource.id} not found`);
                }
                return found;
            }
            const list = [...all.values()];
            return resource.filter ? resource.filter.match(list) : list;
        },
        degress: async (resource) => {
            if (!all.delete(resource.id)) {
                throw new SCIMMY.Types.Error(404, null, `Resource ${resource.id} not found`);
            }
        },
    };
}

SCIMMY.Resources.declare(SCIMMY.Resources.User, handlers("users", "userName"));
SCIMMY.Resources.declare(SCIMMY.Resources.Group, handlers("groups", ""));

const app = express();
app.use("/scim/v2", new SCIMMYRouters({
    type: "bearer",
    handler: (request) => {
        if (request.header("Authorization") !== "Bearer scimmy-token") {
            throw new Error("Authorization not detected!");
        }
        return "rollcall";
    },
}));
const server = app.listen(0, "127.0.0.1", () => console.log(server.address().port));
