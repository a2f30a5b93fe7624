"""Tells the test's recorder that it lives, and says so as long as it does: the end of the connection
is the end of the process, however it comes."""
import os
import socket
import sys
import time

connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
# Whoever runs until it is told otherwise must also end when told.
fields = [os.environ["DC_APP_NAME"], os.environ["DC_RUNTIME"], os.environ["DC_FENCE"], os.environ["HOST_NAME"]]
connection.sendall((" ".join(fields) + "\n").encode())
time.sleep(float(sys.argv[2]))
