// Passkeys: the buttons of sign-up, login and account pages. Without this script, or without passkeys, they stay hidden.

import { entered, newcomer, next, offer, post } from "./door.js";

const usable = window.isSecureContext && "PublicKeyCredential" in window;
const label = document.getElementById("passkey-label");

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

/** What the server sends has bytes as base64url text; the browser wants buffers. */
function asked(options) {
  const known = (list = []) => list.map((one) => ({ ...one, id: bytes(one.id) }));
  const publicKey = { ...options, challenge: bytes(options.challenge) };
  if (options.user) publicKey.user = { ...options.user, id: bytes(options.user.id) };
  if (options.excludeCredentials) publicKey.excludeCredentials = known(options.excludeCredentials);
  if (options.allowCredentials) publicKey.allowCredentials = known(options.allowCredentials);
  return { publicKey };
}

/** And back. */
function answered(credential) {
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[name]) response[name] = text(credential.response[name]);
  }
  return { id: credential.id, rawId: text(credential.rawId), type: credential.type, response, clientExtensionResults: {} };
}

async function logIn() {
  const options = await post("/api/passkeys/login/options");
  const credential = await navigator.credentials.get(asked(options));
  entered(await post("/api/passkeys/login", { credential: answered(credential), next: next() }));
}

async function signUp() {
  const { name, code } = newcomer();
  const credential = await navigator.credentials.create(asked(await post("/api/signup/passkey/options", { name, code })));
  entered(await post("/api/signup/passkey", { credential: answered(credential), code, next: next() }));
}

async function addOne() {
  const options = await post("/api/passkeys/options");
  const credential = await navigator.credentials.create(asked(options));
  await post("/api/passkeys", { credential: answered(credential), label: label.value });
  entered({ next: "/account?done=passkey" });
}

/** The browser's own words are of little help. */
function because(error) {
  if (error.name === "NotAllowedError") return "No passkey was used.";
  if (error.name === "InvalidStateError") return "This device has a passkey for this page already.";
  if (error.name === "SecurityError") return "Passkeys need a name: open this page as http://localhost, or under its name over TLS.";
  return error.message;
}

if (usable) {
  if (label) label.hidden = false;
  offer("passkey-login", logIn, because);
  offer("passkey-signup", signUp, because);
  offer("passkey-add", addOne, because);
}
