// @tus/server with its file store: node tus_server.mjs HOME PORT DATA
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [home, port, directory] = process.argv.slice(2);
const require = createRequire(`${home}/package.json`);
const load = (name) => import(pathToFileURL(require.resolve(name)));
const { Server } = await load("@tus/server");
const { FileStore } = await load("@tus/file-store");

const server = new Server({
  path: "/files",
  datastore: new FileStore({ directory, expirationPeriodInMilliseconds: 3600_000 }),
});
server.listen({ host: "127.0.0.1", port: Number(port) });
