"""The page of cella-attestd in a real Chromium, driven over the WebDriver protocol.

Usage: browser.py ATTESTD MAKE_EVIDENCE. Skipped without chromium and chromedriver. Side: tests.
"""
import json
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

from harness import SKIP, Folder, Service, free_port, jws, policy_body

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    """A session of chromedriver; just the commands that this test needs."""

    def __init__(self, folder):
        self.port = free_port()
        self.driver = subprocess.Popen([shutil.which("chromedriver"), f"--port={self.port}"], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
        self.base = f"http://127.0.0.1:{self.port}"
        for _ in range(200):
            try:
                if self.call("GET", "/status")["ready"]:
                    break
            except OSError:
                time.sleep(0.05)
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={folder}/chromium"]
        session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "acceptInsecureCerts": True, "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {"args": arguments, "binary": shutil.which("chromium")}}}})
        self.base += f"/session/{session['sessionId']}"

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as problem:
            raise AssertionError(problem.read().decode()) from problem

    def find(self, selector):
        return self.call("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def text(self, selector):
        return self.call("GET", f"/element/{self.find(selector)}/text")

    def type(self, selector, text):
        self.call("POST", f"/element/{self.find(selector)}/value", {"text": text})

    def click(self, selector):
        self.call("POST", f"/element/{self.find(selector)}/click", {})

    def script(self, code):
        return self.call("POST", "/execute/sync", {"script": code, "args": []})

    def wait(self, selector, wanted):
        for _ in range(200):
            found = self.text(selector)
            if wanted in found:
                return found
            time.sleep(0.05)
        raise AssertionError(f"{selector}: '{found}', wanted '{wanted}'")

    def log(self):
        return self.call("POST", "/se/log", {"type": "browser"})

    def close(self):
        try:
            self.call("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait()


def explain(browser, service, path, verdict):
    browser.call("POST", "/url", {"url": service.issuer + "/"})
    browser.type("#file", path)
    browser.click("#explain")
    return browser.wait("#verdict", verdict)


def main():
    if not shutil.which("chromium") or not shutil.which("chromedriver"):
        print("skipped: chromium and chromedriver are not installed (packages chromium, chromium-driver)")
        return SKIP
    program, make_evidence = sys.argv[1:]
    with Folder() as folder:
        subprocess.run([make_evidence, f"{folder}/evidence"], check=True)
        lines = ["issuer = @ISSUER@", f"root = {folder}/evidence/root.pem", f"collateral = {folder}/evidence/collateral"]
        with Service(program, f"{folder}/service", lines) as service:
            # what somebody may put into a policy is shown, not run
            hostile = 'version=1.0; authorizationrules{=> permit();}; issuancerules{=> issue(type="<img src=x onerror=window.pwned=1>", value="<script>window.pwned=1</script>");};'
            assert service.admin("PUT", "/policies/SevSnpVm?api-version=2022-08-01", jws(policy_body(hostile)))[0] == 200
            browser = Browser(folder)
            try:
                browser.call("POST", "/url", {"url": service.issuer + "/"})
                assert browser.call("GET", "/title") == "cella-attestd"
                browser.wait("#issuer", f"{service.issuer}, mode aad")
                browser.wait("#platforms", "1 configured root(s), and those of Intel and AMD")
                assert "tcb_info.json" in browser.text("#platforms")
                summaries = browser.script("return [...document.querySelectorAll('#policies summary')].map(one => one.textContent)")
                assert summaries[0] == "SgxEnclave: standard" and summaries[2] == "SevSnpVm: unsigned" and len(summaries) == 6, summaries
                assert hostile in browser.script("return document.querySelectorAll('#policies pre')[2].textContent")
                print("ok overview")

                verdict = explain(browser, service, f"{folder}/evidence/good.quote", "accepted")
                assert verdict == "accepted: DCAP quote (sgx), UpToDate", verdict
                cells = browser.script("return Object.fromEntries([...document.querySelectorAll('#claims tbody tr')].map(row => [...row.cells].map(cell => cell.textContent)))")
                assert cells["x-ms-sgx-mrenclave"] == "e1" * 32 and cells["x-ms-sgx-svn"] == "3", cells
                assert browser.script("return document.querySelectorAll('#steps td.passed').length") > 10
                explain(browser, service, f"{folder}/evidence/forged.quote", "refused")
                assert "quote_signature" in browser.text("#failures") and "byte 436" in browser.text("#failures")
                explain(browser, service, f"{folder}/evidence/good.oe", "accepted")
                print("ok verdicts")

                browser.call("POST", "/url", {"url": service.issuer + "/"})
                browser.click("#explain")
                browser.wait("#verdict", "choose a file or paste evidence")
                browser.type("#text", "<script>window.pwned=1</script>")
                browser.click("#explain")
                browser.wait("#verdict", "no evidence is recognised")
                assert browser.script("return window.pwned === undefined")
                # nothing but the page's own files may run, load or be reached
                refused = browser.script("const tag = document.createElement('script'); tag.textContent = 'window.pwned = 1'; document.body.append(tag); return window.pwned === undefined")
                assert refused
                log = [line["message"] for line in browser.log()]
                assert any("Content Security Policy" in line for line in log), log
                assert not [line for line in log if "Content Security Policy" not in line and "favicon" not in line and "400" not in line], log
                print("ok refusals")
            finally:
                browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
