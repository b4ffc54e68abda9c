// The page of cella-attestd: everything from the service is set as text, never as markup.
"use strict";

const byId = (id) => document.getElementById(id);

function element(name, text, className) {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function row(cells) {
  const made = document.createElement("tr");
  for (const [text, className] of cells) made.append(element("td", text, className));
  return made;
}

function showOverview(overview) {
  byId("issuer").textContent = `${overview.issuer}, mode ${overview.mode}`;
  const roots = `${overview.configuredRoots} configured root(s)` +
    (overview.builtInRoots ? ", and those of Intel and AMD" : ", no built-in roots");
  byId("platforms").append(element("li", roots));
  for (const name of overview.collateral.fetched) byId("platforms").append(element("li", `fetched: ${name}`));
  for (const name of overview.collateral.documents) byId("platforms").append(element("li", name));
  for (const policy of overview.policies) {
    const kind = policy.standard ? "standard" : policy.signed ? "signed" : "unsigned";
    const details = document.createElement("details");
    details.append(element("summary", `${policy.type}: ${kind}${policy.served ? "" : " (not attested here)"}`));
    details.append(element("pre", policy.text), element("p", `hash ${policy.hash}`));
    byId("policies").append(details);
  }
}

function showVerdict(answer) {
  const status = answer.status ? `, ${answer.status}` : "";
  byId("verdict").textContent = `${answer.verdict}: ${answer.format} (${answer.tee})${status}`;
  byId("verdict").className = answer.verdict;
  for (const failure of answer.failures) {
    const place = failure.offset === undefined ? "" : `, byte ${failure.offset}`;
    byId("failures").append(element("li", `${failure.step}: ${failure.object}${place}: ${failure.text}`,
      failure.excused ? "excused" : "failed"));
  }
  const steps = byId("steps").tBodies[0];
  for (const step of answer.steps) {
    if (step.outcome !== "not taken") steps.append(row([[step.step], [step.text], [step.outcome, step.outcome]]));
  }
  const claims = byId("claims").tBodies[0];
  for (const [name, value] of Object.entries(answer.claims)) {
    claims.append(row([[name], [typeof value === "object" ? JSON.stringify(value) : String(value)]]));
  }
  byId("details").hidden = false;
  byId("details").open = true;
}

function clear() {
  byId("verdict").textContent = "";
  byId("verdict").className = "";
  byId("failures").replaceChildren();
  byId("steps").tBodies[0].replaceChildren();
  byId("claims").tBodies[0].replaceChildren();
  byId("details").hidden = true;
}

async function explain() {
  clear();
  const file = byId("file").files[0];
  const body = file || byId("text").value;
  if (!body || (file && file.size === 0)) {
    byId("verdict").textContent = "choose a file or paste evidence";
    return;
  }
  try {
    const answer = await fetch("/cella/explain", { method: "POST", body });
    const json = await answer.json();
    if (answer.ok) showVerdict(json);
    else byId("verdict").textContent = json.error.message;
  } catch (problem) {
    byId("verdict").textContent = `no answer: ${problem.message}`;
  }
}

byId("explain").addEventListener("click", explain);
fetch("/cella/overview").then((answer) => answer.json()).then(showOverview);
