"""moto's server of AWS on a free port, which it prints. It lives as long as its standard input is open: whoever started it and was
killed, even by SIGKILL, leaves no server behind."""

import sys

from moto.server import ThreadedMotoServer

server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
