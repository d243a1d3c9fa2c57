; SPDX-License-Identifier: MIT
; Four CPUs: startup, and every way of sending an interrupt.  After each step a line with what the
; four have counted by then: the step's letter, then a digit for each CPU.
%include "boot.inc"
BOOT_SECTORS 3, gdtr, 8, start

APIC equ 0xfee00000
COUNTS equ 0x6000       ; of each CPU
ALIVE equ 0x5000        ; how often a CPU has started on page 9 ...
AGAIN equ 0x5004        ; ... and on page 10
SEEN equ 0x5008         ; what the patched routine has answered
ROUTINE equ 0xb800      ; two of them, in one page
ROUTINE2 equ 0xba00
RACE equ 0x500c         ; all change it at once
IDT equ 0x1000
%ifndef DELAY               ; longer where the others run as the host lets them
DELAY equ 2000000
%endif

start:
    mov ax,16
    mov ds,ax
    mov es,ax
    mov ss,ax
    mov esp,0x80000
    cld
    xor eax,eax
    mov edi,ALIVE
    mov ecx,0x800
    rep stosd
    mov edi,IDT
    mov ecx,0x400
    rep stosd
    mov dword [IDT+2*8],on_nmi + 0x80000
    mov dword [IDT+2*8+4],0x8e00
    mov dword [IDT+0x40*8],on_count + 0x80000
    mov dword [IDT+0x40*8+4],0x8e00
    mov dword [IDT+0x41*8],on_call + 0x80000
    mov dword [IDT+0x41*8+4],0x8e00
    mov dword [IDT+0x42*8],on_race + 0x80000
    mov dword [IDT+0x42*8+4],0x8e00
    mov esi,ap_real
    mov edi,0x9000
    mov ecx,ap_real_end - ap_real
    rep movsb
    mov esi,ap_other
    mov edi,0xa000
    mov ecx,ap_other_end - ap_other
    rep movsb
    mov al,0xff         ; the 8259s are silent
    out 0x21,al
    out 0xa1,al
    call apic_on
    sti

    mov al,'a'          ; INIT and startup to all others
    call step_begin
    mov dword [APIC+0x300],0xc4500
    mov dword [APIC+0x300],0xc4609
wait_alive:
    pause
    cmp dword [ALIVE],3
    jne wait_alive
    mov dword [APIC+0x300],0xc4609      ; who runs takes no notice
    call delay
    call show_counts
    mov al,[ALIVE]
    call digit

    mov ah,'b'          ; fixed, to an id
    mov ebx,1 << 24
    mov ecx,0x4040
    call send
    mov ah,'c'          ; logical, flat: CPUs 2 and 3
    mov ebx,0xc << 24
    mov ecx,0x4840
    call send
    mov ah,'d'          ; to all
    mov ecx,0x84040
    call send
    mov ah,'e'          ; to all others
    mov ecx,0xc4040
    call send
    mov ah,'f'          ; to itself
    mov ecx,0x44040
    call send
    mov ah,'g'          ; NMI
    mov ebx,2 << 24
    mov ecx,0x4400
    call send
    mov ah,'h'          ; physical, to everyone
    mov ebx,0xff << 24
    mov ecx,0x4040
    call send
    mov ah,'i'          ; cluster model: set 0, CPU 1 alone
    mov ebx,0x02 << 24
    mov ecx,0x4840
    mov byte [cluster],1
    call send_cluster

    mov dword [ROUTINE],0x0001b8        ; MOV EAX, 1; RET, run by another CPU
    mov dword [ROUTINE+4],0xc300
    mov dword [ROUTINE2],0x0001b8
    mov dword [ROUTINE2+4],0xc300
    mov al,'j'
    call run_routine
    mov byte [ROUTINE+1],2              ; its decoded copies are stale now
    mov byte [ROUTINE2+1],3
    mov al,'k'
    call run_routine

    mov dword [APIC+0x300],0xc4042      ; all work at once: the order shows in memory
    call race

    mov ah,'l'          ; INIT stops CPU 3: nothing reaches it
    mov ebx,3 << 24
    mov ecx,0x4500
    call send
    mov ah,'m'
    mov ecx,0xc4040
    call send
    mov ah,'n'          ; it starts elsewhere
    mov ebx,3 << 24
    mov ecx,0x460a
    call send
    mov al,[AGAIN]
    call digit
    mov al,'o'          ; INIT and startup in one breath, to one that runs
    call step_begin
    mov dword [APIC+0x310],2 << 24
    mov dword [APIC+0x300],0x4500
    mov dword [APIC+0x300],0x460a
    mov dword [APIC+0x300],0x460a       ; once is enough
    call delay
    mov al,[AGAIN]
    call digit
    mov al,10
    out 0xe9,al
    mov al,'Z'
    out 0xe9,al
    mov al,10
    out 0xe9,al
    lidt [nothing]      ; three faults end it
    int3

; Sends command ecx to ebx, then shows.
send:
    mov al,ah
    call step_begin
.command:
    mov [APIC+0x310],ebx
    mov [APIC+0x300],ecx
    call delay
    jmp show_counts

send_cluster:
    mov al,ah
    call step_begin
    push ebx
    push ecx
    mov dword [APIC+0x310],0            ; all go over to it
    mov dword [APIC+0x300],0x84041
    call delay
    mov byte [cluster],0
    pop ecx
    pop ebx
    jmp send.command

run_routine:
    call step_begin
    mov dword [APIC+0x310],1 << 24
    mov dword [APIC+0x300],0x4041
    call delay
    mov al,[SEEN]
    jmp digit

step_begin:
    push eax
    mov al,10
    out 0xe9,al
    pop eax
    out 0xe9,al
    ret

delay:
    push ecx
    mov ecx,DELAY
.l: dec ecx
    jnz .l
    pop ecx
    ret

show_counts:
    push ecx
    xor ecx,ecx
.l: mov al,[COUNTS+ecx*4]
    call digit
    inc ecx
    cmp ecx,4
    jne .l
    pop ecx
    ret

digit:
    push eax
    mov al,' '
    out 0xe9,al
    pop eax
    add al,'0'
    out 0xe9,al
    ret

apic_on:
    mov dword [APIC+0xf0],0x1ff
    mov ecx,[APIC+0x20]
    shr ecx,24
    mov eax,1 << 24
    shl eax,cl
    mov [APIC+0xd0],eax
    lidt [idtr]
    ret

on_nmi:
    push eax
    push ecx
    jmp count
on_count:
    push eax
    push ecx
    mov dword [APIC+0xb0],0
count:
    mov ecx,[APIC+0x20]
    shr ecx,24
    lock inc dword [COUNTS+ecx*4]
    pop ecx
    pop eax
    iret

on_race:
    push eax
    push ecx
    push edx
    mov dword [APIC+0xb0],0
    call race
    pop edx
    pop ecx
    pop eax
    iret

race:
    mov edx,[APIC+0x20]
    shr edx,24
    mov ecx,1000000
.l: mov eax,[RACE]
    lea eax,[eax+eax*4+1]
    add eax,edx
    mov [RACE],eax
    dec ecx
    jnz .l
    ret

; Runs the routines, or goes over to the cluster model.
on_call:
    push eax
    mov dword [APIC+0xb0],0
    cmp byte [cluster],0
    jne .cluster
    mov eax,ROUTINE
    call eax
    mov [SEEN],eax
    mov eax,ROUTINE2
    call eax
    add [SEEN],eax
    pop eax
    iret
.cluster:
    mov dword [APIC+0xe0],0x0fffffff
    pop eax
    iret

bits 16
ap_real:
    cli
    xor ax,ax
    mov ds,ax
    o32 lgdt [gdtr]
    mov eax,cr0
    or al,1
    mov cr0,eax
    jmp dword 8:ap_flat
ap_real_end:
ap_other:
    xor ax,ax
    mov ds,ax
    mov ax,cs
    mov al,ah           ; the page is 10
    cmp al,10
    jne .stop
    inc byte [AGAIN]
.stop:
    cli
    hlt
    jmp .stop
ap_other_end:
bits 32
ap_flat:
    mov ax,16
    mov ds,ax
    mov es,ax
    mov ss,ax
    mov ecx,[APIC+0x20]
    shr ecx,24
    shl ecx,12
    lea esp,[ecx+0x20000]
    call apic_on
    lock inc dword [ALIVE]
    sti
.l: hlt
    jmp .l

cluster: db 0
align 8
gdt: dq 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdtr: dw 23
    dd gdt
idtr: dw 0x7ff
    dd IDT
nothing: dw 0
    dd 0
