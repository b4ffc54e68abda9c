// A kubelet's side of the device plugin interface by @grpc/grpc-js, against cella-device-plugin as a process.
// Side: tests. Called by peers.py: kubelet.mjs PLUGIN PROTO FOLDER. The folder is made by peers.py; proto is the interface.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");
const [program, proto, folder] = process.argv.slice(2);
const api = grpc.loadPackageDefinition(loader.loadSync(proto, { keepCase: true, defaults: true })).v1beta1;
const plugins = `${folder}/plugins`;
const ENCLAVE = "sgx.intel.com/enclave", AZURE = "kubernetes.azure.com/sgx_epc_mem_in_MiB";
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

const unary = (client, name, request) => new Promise((resolve, reject) =>
  client[name](request, { deadline: Date.now() + 5000 }, (error, answer) => (error ? reject(error) : resolve(answer))));

class Kubelet {
  constructor(options = {}) {
    this.options = options;
    this.endpoints = new Map();
  }

  async start() {
    for (const name of fs.readdirSync(plugins)) {
      fs.rmSync(`${plugins}/${name}`);
    }
    this.server = new grpc.Server();
    this.server.addService(api.Registration.service, { Register: (call, done) => this.register(call.request, done) });
    await new Promise((resolve, reject) => this.server.bindAsync(`unix:${plugins}/kubelet.sock`,
      grpc.ServerCredentials.createInsecure(), (error) => (error ? reject(error) : resolve())));
  }

  async register(request, done) {
    try {
      assert.equal(request.version, "v1beta1");
      const client = new api.DevicePlugin(`unix:${plugins}/${request.endpoint}`, grpc.credentials.createInsecure(), this.options);
      const options = await unary(client, "GetDevicePluginOptions", {}); // before the answer, as kubelets do
      this.endpoints.set(request.resource_name, { client, options });
      done(null, {});
    } catch (error) {
      done(error);
    }
  }

  async get(name, limit) {
    for (const end = Date.now() + limit; !this.endpoints.has(name); await pause(5)) {
      assert.ok(Date.now() < end, `${name} did not register within ${limit} ms`);
    }
    return this.endpoints.get(name);
  }

  stop() {
    for (const { client } of this.endpoints.values()) {
      client.close();
    }
    this.server.forceShutdown();
  }
}

const first = async (stream) => (await once(stream, "data"))[0].devices;

async function calls(kubelet) {
  const { client, options } = await kubelet.get(ENCLAVE, 3000);
  assert.equal(options.pre_start_required, true);
  const stream = client.ListAndWatch({});
  const devices = await first(stream);
  assert.equal(devices.length, 110);
  assert.ok(devices.every((device) => device.health === "Healthy"));
  const answer = await unary(client, "Allocate", { container_requests: [{ devicesIDs: [devices[0].ID] }] });
  assert.deepEqual(answer.container_responses[0].devices.map((device) => [device.container_path, device.host_path, device.permissions]),
    [["/dev/sgx_enclave", "/dev/null", "rw"], ["/dev/sgx/enclave", "/dev/null", "rw"]]);
  await assert.rejects(unary(client, "Allocate", { container_requests: [{ devicesIDs: ["nothing"] }] }),
    (error) => error.code === grpc.status.NOT_FOUND && error.details.includes("'nothing'"));
  const preferred = await unary(client, "GetPreferredAllocation", {
    container_requests: [{ available_deviceIDs: ["sgx-enclave-3", "sgx-enclave-2"], must_include_deviceIDs: [], allocation_size: 1 }] });
  assert.deepEqual(preferred.container_responses[0].deviceIDs, ["sgx-enclave-2"]);
  await unary(client, "PreStartContainer", { devicesIDs: ["sgx-enclave-2"] });
  const memory = await kubelet.get(AZURE, 1000);
  const units = memory.client.ListAndWatch({});
  assert.equal((await first(units)).length, 262144); // @grpc/grpc-js refuses more than 4 MiB
  units.on("error", () => {});
  units.cancel();
  await Promise.all(Array.from({ length: 500 }, (_, i) =>
    unary(client, "Allocate", { container_requests: [{ devicesIDs: [`sgx-enclave-${i % 110}`] }] })));
  fs.rmSync(`${folder}/dev/sgx_enclave`);
  assert.ok((await first(stream)).every((device) => device.health === "Unhealthy"));
  fs.symlinkSync("/dev/null", `${folder}/dev/sgx_enclave`);
  assert.ok((await first(stream)).every((device) => device.health === "Healthy"));
  stream.on("error", () => {});
  stream.cancel();
}

async function main() {
  const plugin = spawn(program, ["--config", `${folder}/conf`], { stdio: ["ignore", "ignore", "inherit"] });
  try {
    let kubelet = new Kubelet();
    await kubelet.start();
    await calls(kubelet);
    for (let i = 0; i < 3; i++) {
      const stream = (await kubelet.get(ENCLAVE, 1000)).client.ListAndWatch({});
      stream.on("error", () => {});
      await first(stream);
      kubelet.stop();
      // kubelets before 1.26 send the socket's path
      kubelet = new Kubelet(i === 1 ? { "grpc.default_authority": `${plugins}/x.sock` } : {});
      await kubelet.start();
      assert.equal((await first((await kubelet.get(ENCLAVE, 1000)).client.ListAndWatch({}).on("error", () => {}))).length, 110);
    }
    kubelet.stop();
    plugin.kill("SIGTERM");
    assert.deepEqual(await once(plugin, "exit"), [0, null]);
    console.log("good");
  } finally {
    plugin.kill("SIGKILL");
  }
}

await main();
process.exit(0);
