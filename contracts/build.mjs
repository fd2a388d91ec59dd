// Compiles the contracts:  src/*.sol + OpenZeppelin --solc--> artifacts/<Contract>.json
//
// The same sources and the same pins give the same bytes on every machine: no metadata hash is appended to the code,
// no path enters it, and the keys of the artifacts are sorted.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import solc from "solc";

const ROOT = dirname(fileURLToPath(import.meta.url));
// An argument names another folder to write to, which is how the tests compare.
const OUTPUT = process.argv[2] ?? join(ROOT, "artifacts");
const MAX_RUNTIME_BYTES = 24_576; // EIP-170: a larger contract cannot be deployed

const CONTRACTS = {
  SwarmCoordinator: "src/SwarmCoordinator.sol",
  PredictionMarket: "src/PredictionMarket.sol",
  ERC1967Proxy: "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol",
};

// Of OpenZeppelin, whose words for it the compiler does not pass on.
const DOCUMENTED_ELSEWHERE = new Set(["UPGRADE_INTERFACE_VERSION"]);

const SETTINGS = {
  optimizer: { enabled: true, runs: 200 },
  // The oldest that OpenZeppelin's code needs: most chains, anvil and py-evm run it.
  evmVersion: "cancun",
  metadata: { appendCBOR: false, bytecodeHash: "none" },
  outputSelection: { "*": { "*": ["abi", "devdoc", "userdoc", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
};

function read(path) {
  const base = path.startsWith("src/") ? ROOT : join(ROOT, "node_modules");
  return readFileSync(join(base, path), "utf8");
}

function resolveImport(path) {
  try {
    return { contents: read(path) };
  } catch (error) {
    return { error: `${path}: ${error.code}; run "npm ci --ignore-scripts" first` };
  }
}

function compile() {
  const sources = Object.fromEntries(Object.values(CONTRACTS).map((path) => [path, { content: read(path) }]));
  const input = { language: "Solidity", sources, settings: SETTINGS };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: resolveImport }));
  // Of the packages, which are pinned, only errors count.
  const messages = (output.errors ?? []).filter(
    ({ severity, sourceLocation }) => severity === "error" || !sourceLocation?.file.startsWith("@"),
  );
  if (messages.length > 0) {
    throw new Error(messages.map((message) => message.formattedMessage).join("\n"));
  }
  return output.contracts;
}

// Entries of the ABI that the compiler found no words for.
function undocumented({ abi, devdoc, userdoc }) {
  const hasWords = ({ name, inputs, type }) => {
    const signature = `${name}(${inputs.map(typeOf).join(",")})`;
    const kind = { function: "methods", event: "events", error: "errors" }[type];
    const found = [userdoc, devdoc].flatMap((doc) => doc[kind]?.[signature] ?? []);
    return found.some(({ notice, details }) => notice || details) || DOCUMENTED_ELSEWHERE.has(name);
  };
  return abi.filter((entry) => entry.name && !hasWords(entry)).map(({ name }) => name);
}

function typeOf({ type, components }) {
  return components ? type.replace("tuple", `(${components.map(typeOf).join(",")})`) : type;
}

function runtimeSize({ evm }) {
  return evm.deployedBytecode.object.length / 2;
}

function artifact(name, contract) {
  const size = runtimeSize(contract);
  if (size > MAX_RUNTIME_BYTES) {
    throw new Error(`${name} is ${size} bytes, more than the ${MAX_RUNTIME_BYTES} a chain takes`);
  }
  const silent = undocumented(contract);
  if (silent.length > 0) throw new Error(`${name}: nothing public goes without words: ${silent.join(", ")}`);
  return {
    abi: contract.abi,
    bytecode: `0x${contract.evm.bytecode.object}`,
    compiler: { evmVersion: SETTINGS.evmVersion, optimizer: SETTINGS.optimizer, version: solc.version() },
    contractName: name,
  };
}

function sortKeys(value) {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sortKeys(value[key])]));
}

// One line per ABI entry: small, and a change of one entry is a change of one line.
function format({ abi, ...rest }) {
  const entries = sortKeys(abi).map((entry) => `    ${JSON.stringify(entry)}`).sort();
  const fields = Object.entries(sortKeys(rest)).map(([key, value]) => `  ${JSON.stringify(key)}: ${JSON.stringify(value)}`);
  return `{\n  "abi": [\n${entries.join(",\n")}\n  ],\n${fields.join(",\n")}\n}\n`;
}

function main() {
  const compiled = compile();
  mkdirSync(OUTPUT, { recursive: true });
  for (const [name, path] of Object.entries(CONTRACTS)) {
    const contract = compiled[path][name];
    writeFileSync(join(OUTPUT, `${name}.json`), format(artifact(name, contract)));
    console.log(`${name}: ${runtimeSize(contract)} bytes of code`);
  }
}

main();
