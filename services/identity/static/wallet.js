// Sign-In with Ethereum, by a wallet that the browser has (window.ethereum). Without one the buttons stay hidden.

import { busy, entered, post, show, tell } from "./door.js";

const login = document.getElementById("wallet-login"), add = document.getElementById("wallet-add");

/** Let the wallet sign the text that the server writes for its account. */
async function signed(path) {
  const [address] = await window.ethereum.request({ method: "eth_requestAccounts" });
  const { nonce, message } = await post(path, { address });
  const hex = "0x" + [...new TextEncoder().encode(message)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return { nonce, signature: await window.ethereum.request({ method: "personal_sign", params: [hex, address] }) };
}

async function logIn() {
  const proof = await signed("/api/wallets/login/text");
  entered(await post("/api/wallets/login", { ...proof, next: login.parentElement.dataset.next }));
}

async function addOne() {
  await post("/api/wallets", await signed("/api/wallets/text"));
  entered({ next: "/account?done=wallet" });
}

const because = (error) => (error.code === 4001 ? "The wallet did not sign." : error.message);

if (window.ethereum && login) show(login), busy(login, () => logIn().catch((error) => tell(because(error))));
if (window.ethereum && add) show(add), busy(add, () => addOne().catch((error) => tell(because(error))));
