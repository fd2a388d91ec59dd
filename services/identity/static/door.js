// What the scripts of sign-up, login and account pages share: requests with the page's token, buttons, messages.

const section = document.getElementById("other-ways") ?? document.getElementById("more-ways");
const trouble = document.getElementById("other-trouble") ?? document.getElementById("more-trouble");

/** POST as JSON; what comes back. Throws an Error in the server's words. */
export async function post(path, body = {}) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": section.dataset.csrf },
    body: JSON.stringify(body),
  });
  const told = answer.status === 204 ? {} : await answer.json().catch(() => ({}));
  if (answer.ok) return told;
  const why = told.error ?? told.detail;
  throw new Error(typeof why === "string" ? why : "This did not work. Load the page again and retry.");
}

/** Show a button that needs its script, and the section it is in; a click begins something that may take a while. */
export function offer(id, begin, because) {
  const button = document.getElementById(id);
  if (!button) return;
  for (const one of [section, button]) one.hidden = false;
  button.addEventListener("click", async () => {
    trouble.hidden = true;
    button.disabled = true; // it cannot be clicked again meanwhile
    await begin().catch((error) => tell(because(error)));
    button.disabled = false;
  });
}

/** Say what went wrong. */
function tell(text) {
  trouble.textContent = text;
  trouble.hidden = false;
}

/** Where to go after the login. */
export const next = () => section.dataset.next;

/** What the form of the sign-up says besides a passphrase. */
export const newcomer = () => ({ name: value("signup-name"), code: value("signup-code") });
const value = (id) => document.getElementById(id)?.value ?? "";

/** Go on to where the server says. */
export const entered = ({ next }) => location.assign(next || "/");
