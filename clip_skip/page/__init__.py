"""The parts that both pages in the browser share: the WebUI's and the standalone one."""
