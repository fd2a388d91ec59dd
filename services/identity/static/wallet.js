// Sign-In with Ethereum, by a wallet that the browser has (window.ethereum). Without one the buttons stay hidden.

import { entered, newcomer, next, offer, post } from "./door.js";

/** Let the wallet sign the text that the server writes for its account. */
async function signed(path, more = {}) {
  const [address] = await window.ethereum.request({ method: "eth_requestAccounts" });
  const { nonce, message } = await post(path, { address, ...more });
  const hex = "0x" + [...new TextEncoder().encode(message)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return { nonce, signature: await window.ethereum.request({ method: "personal_sign", params: [hex, address] }) };
}

async function logIn() {
  const proof = await signed("/api/wallets/login/text");
  entered(await post("/api/wallets/login", { ...proof, next: next() }));
}

async function signUp() {
  const who = newcomer();
  entered(await post("/api/signup/wallet", { ...await signed("/api/signup/wallet/text", who), ...who, next: next() }));
}

async function addOne() {
  await post("/api/wallets", await signed("/api/wallets/text"));
  entered({ next: "/account?done=wallet" });
}

const because = (error) => (error.code === 4001 ? "The wallet did not sign." : error.message);

if (window.ethereum) {
  offer("wallet-login", logIn, because);
  offer("wallet-signup", signUp, because);
  offer("wallet-add", addOne, because);
}
