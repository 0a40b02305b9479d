// Makes the replica set and a user for each service, unless they are there; a password that was changed is set.
// A service writes its own database; keys of cases and people's access are kept in two that all of them open.
const server = new Mongo(`mongodb://root:${process.env.MONGO_ROOT_PASSWORD}@mongodb/?directConnection=true`);
const admin = server.getDB("admin");

try {
  admin.adminCommand({ replSetGetStatus: 1 });
} catch (error) {
  if (error.codeName !== "NotYetInitialized") throw error;
  admin.adminCommand({ replSetInitiate: { _id: "huiyin", members: [{ _id: 0, host: "mongodb:27017" }] } });
}
while (!admin.hello().isWritablePrimary) sleep(500);

for (const service of ["intake", "routing", "notify", "analytics"]) {
  const pwd = process.env[`MONGO_${service.toUpperCase()}_PASSWORD`];
  if (!pwd) throw new Error(`no password for ${service}`);
  const roles = [service, "vault", "access"].flatMap((name) =>
    ["readWrite", "dbAdmin"].map((role) => ({ role, db: `huiyin-${name}` })),
  );
  if (admin.getUser(service)) admin.updateUser(service, { pwd, roles });
  else admin.createUser({ user: service, pwd, roles });
}
