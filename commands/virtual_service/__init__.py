"""Virtual services of load balancers: is a real server down, or only its check?

probes     the requests of a check, asked again by hvops itself, and with other names and methods
facts      what the load balancer tells, and what its real servers answer
verdict    of each real server: up, down, marked down by the wrong check, up no more
findings   verdicts in words, worst first
host_names what people type: a service, host names
firmware   known faults of the firmware
fix        what a health check has to ask, and the steps that change it
"""
