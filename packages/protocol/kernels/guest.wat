;; Records made of pages where they are in a guest's memory, and written to where they belong there: no copy is between.
;; What calls this has checked that all that is read and written lies in the two memories. The guest may write to its own
;; meanwhile, so a page can be torn, as any copy of it.
(module
  (memory $work (import "work" "memory") 1)
  (memory $guest (import "guest" "memory") 0 65536 shared)

  ;; What is kept of each page that was read: its first 16 bytes as they were copied. Those of the first page are at $headsAt.
  (memory $heads (import "heads" "memory") 1 65536 shared)
  (global $headsAt (import "heads" "at") i32)

  ;; include encode-run.wat, $pages is $guest

  (func $keepHead (param $page i32) (param $head v128)
    (v128.store $heads
      (i32.add (global.get $headsAt) (i32.shr_u (local.get $page) (i32.const 8)))
      (local.get $head)))

  ;; Copies the pages of `count` records of pages, of which the first is at `at`, to `page` and behind it.
  (func (export "storeRun") (param $at i32) (param $count i32) (param $page i32)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (memory.copy $guest $work
          (local.get $page)
          (i32.add (local.get $at) (i32.const 8))
          (i32.const 4096))
        (local.set $at (i32.add (local.get $at) (i32.const 4104)))
        (local.set $page (i32.add (local.get $page) (i32.const 4096)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next))))
)
