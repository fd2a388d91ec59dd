// Copies the invitation. Without JavaScript, or where the browser forbids it, the text can be selected by hand.

const copy = document.getElementById("copy"), copied = document.getElementById("copied");
const text = document.getElementById("invitation");

copy.hidden = false;
copy.addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(text.textContent);
    copied.textContent = "Copied.";
  } catch {
    getSelection().selectAllChildren(text);
    copied.textContent = "Selected: press Ctrl + C.";
  }
});
