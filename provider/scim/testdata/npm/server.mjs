// Starts one of the servers in this folder, which prints its port: scimmy, or the one that is named.
await import(`./${process.argv[2] ?? "scimmy"}.mjs`);
