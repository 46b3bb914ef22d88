# What Redis's own tests of 7.0 need in order to judge a server of 7.2; redis-tcl.sh has them read it after their own support files.

# Whether a set or a list is small enough for the one piece of memory that 7.2 keeps it in, and 7.0 does not.
proc is_small {key} {
    switch [r type $key] {
        set {
            set entries [lindex [r config get set-max-listpack-entries] 1]
            set value [lindex [r config get set-max-listpack-value] 1]
            foreach member [r smembers $key] {
                if {[string length $member] > $value} {return 0}
            }
            return [expr {[r scard $key] <= $entries}]
        }
        list {
            set size [lindex [r config get list-max-listpack-size] 1]
            if {$size >= 0} {return [expr {[r llen $key] <= $size}]}
            set bytes 0
            foreach element [r lrange $key 0 -1] {incr bytes [string length $element]}
            return [expr {$bytes <= 2048 * (1 << -$size)}]
        }
    }
    return 0
}

# The same as 7.0's, but small sets and lists may also be listpacks, which is what 7.2 makes of them.
proc assert_encoding {enc key} {
    set actual [r object encoding $key]
    if {$actual eq {listpack} && $enc in {hashtable quicklist} && [is_small $key]} {return}
    assert_match $enc $actual
}

# The configuration, asked for on a connection of its own.
proc configuration {} {
    set client [redis [srv 0 host] [srv 0 port] 0 $::tls]
    set found [$client config get *]
    $client close
    return $found
}

# The protocol of each connection, by the number of its handle.
array set ::protocol {}
proc note_protocol {command args} {
    lassign $command dispatch id method arguments
    if {[string equal -nocase $method hello]} {set ::protocol($id) [lindex $arguments 0]}
}
trace add execution ::redis::__dispatch__raw__ enter note_protocol

# What tests set around others: protocol and form of replies of the connection that `r` uses.
proc way_of_talking {} {
    regexp {redisHandle([0-9]+)$} [srv 0 client] _ id
    set protocol [expr {[info exists ::protocol($id)] ? $::protocol($id) : 2}]
    return [list $protocol $::redis::readraw($id)]
}

# A test that fails may leave its connection in RESP3, in the middle of a reply or blocked, and the configuration as it needed it:
# the next one gets a new connection, and all as it was before, so that it is judged for itself.
rename test test_that_leaves_a_mess
proc test {args} {
    set failed $::num_failed
    set configuration {}
    set way {2 0}
    catch {set configuration [configuration]}
    catch {set way [way_of_talking]}
    uplevel 1 [list test_that_leaves_a_mess {*}$args]
    if {$::num_failed == $failed || [llength $::servers] == 0} {return}
    catch {
        reconnect
        set now [configuration]
        dict for {name value} $configuration {
            if {[dict get $now $name] ne $value} {catch {r config set $name $value}}
        }
        lassign $way protocol readraw
        if {$protocol != 2} {r hello $protocol}
        r readraw $readraw
    }
}
