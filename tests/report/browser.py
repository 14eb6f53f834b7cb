"""A page in Chromium without a window: for its tests, and for what measures its loading."""

import json
import shutil

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
DRIVER = shutil.which("chromedriver") or ""
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


class Browser:
    """A page in Chromium, and what it says and asks for."""

    def __init__(self, folder):
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in (*FLAGS, f"--user-data-dir={folder}", "--window-size=1280,900"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(DRIVER))

    def open(self, path, state=""):
        self.driver.get("about:blank")
        self.driver.get_log("performance")
        self.driver.get(f"{path.as_uri()}{state}")
        # of a busy machine the driver may say so when a long page is still being read
        WebDriverWait(self.driver, 60).until(
            lambda _: self.run("return document.readyState") == "complete"
        )

    def run(self, script):
        return self.driver.execute_script(script)

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def shown_cases(self):
        return self.run(
            "return [...document.getElementById('rows').rows].filter(r => !r.hidden)"
            ".map(r => r.cells[0].textContent)"
        )

    def state(self):
        return self.run("return location.hash")

    def requests(self):
        events = [
            json.loads(each["message"])["message"] for each in self.driver.get_log("performance")
        ]
        return [
            each["params"]["request"]["url"]
            for each in events
            if each["method"] == "Network.requestWillBeSent"
        ]

    def complaints(self):
        return self.driver.get_log("browser")
