"""Opens a page in Chromium and prints what it saw, as one line of JSON; screenshots go beside the page."""

import json
import pathlib
import sys

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

page = pathlib.Path(sys.argv[1])
options = webdriver.ChromeOptions()
for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
    options.add_argument(argument)
options.binary_location = "/usr/bin/chromium"
options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
try:
    driver.get(page.as_uri())
    seen = {"title": driver.title, "shown": {}, "overflow": {}, "paper": {}, "nothing": []}
    seen["scripts"] = len(driver.find_elements(By.TAG_NAME, "script"))
    seen["images"] = len(driver.find_elements(By.TAG_NAME, "img"))
    seen["text"] = driver.find_element(By.TAG_NAME, "body").text

    def shown():
        blocks = driver.find_elements(By.CSS_SELECTOR, "[data-kind]")
        rows = [(block.get_attribute("data-kind"), block.get_attribute("data-category"), block.text)
                for block in blocks if block.is_displayed()]
        return [{"kind": kind, "category": category, "text": text[:80]} for kind, category, text in rows]

    boxes = {box.get_attribute("value"): box for box in driver.find_elements(By.CSS_SELECTOR, "#filter input")}
    category = Select(driver.find_element(By.CSS_SELECTOR, "#filter select"))
    said = driver.find_element(By.ID, "nothing")
    seen["shown"]["all"] = shown()
    seen["nothing"].append(said.is_displayed())
    category.select_by_value("storage")
    seen["shown"]["storage"] = shown()
    category.select_by_value("")
    for box in boxes.values():
        box.click()
    seen["nothing"].append(said.is_displayed())
    for kind, box in boxes.items():
        box.click()
        seen["shown"][kind] = shown()
        box.click()
    for box in boxes.values():
        box.click()

    for scheme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        body = driver.find_element(By.TAG_NAME, "body")
        seen["paper"][scheme] = body.value_of_css_property("background-color")
        for name, width in (("desktop", 1280), ("phone", 360)):
            metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": name == "phone"}
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
            wide = driver.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
            seen["overflow"][name] = max(0, wide)
            driver.save_screenshot(str(page.with_suffix(f".{name}-{scheme}.png")))
    seen["console"] = [entry["message"] for entry in driver.get_log("browser")]
    print(json.dumps(seen))
finally:
    driver.quit()
