#!lua name=rz1
