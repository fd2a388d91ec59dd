// What the scripts of login and account pages share: requests with the page's token, buttons, messages.

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

/** Show elements that need this script, and the section they are in. */
export function show(...elements) {
  for (const one of [section, ...elements]) one.hidden = false;
}

/** Let a click on a button begin something that may take a while; meanwhile it cannot be clicked again. */
export function busy(button, begin) {
  button.addEventListener("click", async () => {
    trouble.hidden = true;
    button.disabled = true;
    await begin();
    button.disabled = false;
  });
}

/** Say what went wrong. */
export function tell(text) {
  trouble.textContent = text;
  trouble.hidden = false;
}

/** Go on to where the server says. */
export const entered = ({ next }) => location.assign(next || "/");
